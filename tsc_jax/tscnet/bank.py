"""The semantics bank: dataset-level prototypes that every snippet can attend to.

It is explicit carried state: fitted once before training from the training split
alone, passed into the network, returned by the train step. Update rules:

  "gradient"  the optimizer updates the rows as it does parameters (published, THUMOS-14)
  "frozen"    the rows stay as fitted (published intent, ActivityNet)
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

UPDATE_RULES = ("gradient", "frozen")


@struct.dataclass
class BankFit:
    """How a bank was fitted; travels with it, on disk too.

    Attributes:
      seed: of the snippets drawn and of the mixture's start.
      snippets: number of snippets seen.
      iterations: of the mixture, until it stopped.
      fingerprint: of the training split it was fitted on.
    """

    seed: int
    snippets: int
    iterations: int
    fingerprint: str


@struct.dataclass
class Bank:
    """The bank.

    Attributes:
      rows: float32 [K, D], the prototypes.
      fit: how they were fitted; not traced.
    """

    rows: jax.Array
    fit: BankFit = struct.field(pytree_node=False)


def draw_snippets(features: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """`number` snippets of one video [T, D]: one from each of as many equal spans, or interpolated if T is less."""
    length = len(features)
    if length < number:
        places = np.linspace(0, length - 1, number)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (places - below)[:, None].astype(np.float32)
        return (1 - share) * features[below] + share * features[above]
    edges = np.arange(number + 1) * length // number
    return features[rng.integers(edges[:-1], edges[1:])]


def fit_bank(
    snippets: np.ndarray, rows: int, seed: int, fingerprint: str, max_iterations: int, tolerance: float
) -> Bank:
    """A bank of the K means of a Gaussian mixture over the snippets [S, D] of the training split."""
    means, iterations = fit_mixture(jnp.asarray(snippets), rows, seed, max_iterations, tolerance)
    return Bank(means, BankFit(seed, len(snippets), int(iterations), fingerprint))


@functools.partial(jax.jit, static_argnames=("components",))
def fit_mixture(
    x: jax.Array, components: int, seed: int, max_iterations: int, tolerance: float
) -> tuple[jax.Array, jax.Array]:
    """Means [K, D] of a Gaussian mixture with diagonal covariances over x [S, D], and the iterations it took.

    k-means++ start, k-means, then EM until the mean log-likelihood of a snippet
    gains less than `tolerance`. Variances carry 1e-6 of the data's own.
    """
    offset, scale = jnp.mean(x, axis=0), jnp.std(x) + 1e-12
    x = (x - offset) / scale
    centres = kmeans(x, seed_centres(x, components, jax.random.key(seed)), max_iterations)
    share = jax.nn.one_hot(jnp.argmin(squared_distances(x, centres), axis=1), components)

    def unfinished(carry):
        _, _, gain, iteration = carry
        return (iteration < max_iterations) & (gain > tolerance)

    def improve(carry):
        mixture, likelihood, _, iteration = carry
        log_joint = log_densities(x, *mixture)
        new_likelihood = jnp.mean(jax.nn.logsumexp(log_joint, axis=1))
        mixture = maximise(x, jax.nn.softmax(log_joint, axis=1))
        return mixture, new_likelihood, jnp.abs(new_likelihood - likelihood), iteration + 1

    start = (maximise(x, share), -jnp.inf, jnp.inf, 0)
    (means, _, _), _, _, iterations = jax.lax.while_loop(unfinished, improve, start)
    return means * scale + offset, iterations


def seed_centres(x: jax.Array, components: int, key: jax.Array) -> jax.Array:
    """k-means++: each next centre is a snippet drawn by its squared distance from the centres so far."""
    keys = jax.random.split(key, components)
    first = x[jax.random.randint(keys[0], (), 0, len(x))]

    def add(i, carry):
        centres, nearest = carry
        centre = x[jax.random.categorical(keys[i], jnp.log(nearest))]
        return centres.at[i].set(centre), jnp.minimum(nearest, squared_distances(x, centre[None])[:, 0])

    start = (jnp.tile(first, (components, 1)), squared_distances(x, first[None])[:, 0])
    return jax.lax.fori_loop(1, components, add, start)[0]


def kmeans(x: jax.Array, centres: jax.Array, iterations: int) -> jax.Array:
    """Lloyd's iterations from the centres [K, D], until they stand still; a centre that loses all snippets stays."""

    def improve(carry):
        centres, _, iteration = carry
        share = jax.nn.one_hot(jnp.argmin(squared_distances(x, centres), axis=1), len(centres))
        counts = jnp.sum(share, axis=0)[:, None]
        moved = jnp.where(counts > 0, share.T @ x / jnp.maximum(counts, 1), centres)
        return moved, jnp.max(jnp.abs(moved - centres)), iteration + 1

    def unfinished(carry):
        return (carry[1] > 0) & (carry[2] < iterations)

    return jax.lax.while_loop(unfinished, improve, (centres, jnp.inf, 0))[0]


def squared_distances(x: jax.Array, centres: jax.Array) -> jax.Array:
    """[S, D], [K, D] -> [S, K], never negative."""
    cross = jnp.matmul(x, centres.T, precision="highest")
    distances = jnp.sum(x * x, axis=1)[:, None] - 2 * cross + jnp.sum(centres * centres, axis=1)
    return jnp.maximum(distances, 0)


def maximise(x: jax.Array, share: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """M step: means [K, D], variances [K, D] and log weights [K] from the snippets' shares [S, K]."""
    counts = jnp.sum(share, axis=0)[:, None] + 1e-6
    means = jnp.matmul(share.T, x, precision="highest") / counts
    squares = jnp.matmul(share.T, x * x, precision="highest") / counts
    variances = jnp.maximum(squares - means * means, 0) + 1e-6
    return means, variances, jnp.log(counts[:, 0] / jnp.sum(counts))


def log_densities(x: jax.Array, means: jax.Array, variances: jax.Array, log_weights: jax.Array) -> jax.Array:
    """Log of weight times density of each snippet under each component, [S, K]."""
    precisions = 1 / variances
    distances = (
        jnp.matmul(x * x, precisions.T, precision="highest")
        - 2 * jnp.matmul(x, (means * precisions).T, precision="highest")
        + jnp.sum(means * means * precisions, axis=1)
    )
    normaliser = jnp.sum(jnp.log(2 * jnp.pi * variances), axis=1)
    return log_weights - (normaliser + distances) / 2
