"""Gaussian mixtures by EM, and k-means, over snippets that need not fit in memory.

One pass is one iteration: each chunk is spread over the local devices, which return sums and counts; those are added
over chunks and processes in float64 before anything is divided. Features are standardized throughout: less the mean
of each, by one standard deviation for all. The published bank is the means of scikit-learn's mixture with diagonal
covariances; from the same start this one takes the same steps.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax import processes
from tsc_jax.bank.snippets import Snippets

COVARIANCES = ("diag", "full", "spherical")
FLOOR = 1e-6  # added to every variance; scikit-learn's default
EMPTY = 1.0  # snippets that a component must account for, or it is put elsewhere

product = functools.partial(jnp.matmul, precision="highest")


@dataclasses.dataclass(frozen=True)
class Mixture:
    """K Gaussians, float64.

    Attributes:
      means: [K, D].
      covariances: [K, D], or [K, D, D] for "full".
      weights: [K].
    """

    means: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a fit ends with.

    Attributes:
      means: float64 [K, D], of the features as they are.
      mixture: of the standardized features; None for k-means.
      objectives: per iteration, before its step: mean log-likelihood of a snippet; k-means: minus the mean squared
        distance from the nearest centre.
    """

    means: np.ndarray
    mixture: Mixture | None
    objectives: list[float]


def fit_mixture(
    snippets: Snippets, components: int, seed: int, covariance: str, max_iterations: int, tolerance: float
) -> Fitted:
    """EM from k-means from k-means++, until the mean log-likelihood of a snippet gains less than `tolerance`."""
    offset, scale = standardization(snippets)
    sample = jnp.asarray((snippets.start - offset) / scale, jnp.float32)
    centres = kmeans(sample, seed_centres(sample, components, jax.random.key(seed)), max_iterations)
    shares = jax.nn.one_hot(jnp.argmin(squared_distances(sample, centres), axis=1), components)
    sums = jax.device_get(moments(sample, shares, covariance == "full"))
    mixture, objectives = em(
        snippets, offset, scale, maximise(*sums, covariance), covariance, max_iterations, tolerance
    )
    return Fitted(mixture.means * scale + offset, mixture, objectives)


def em(
    snippets: Snippets,
    offset: np.ndarray,
    scale: float,
    mixture: Mixture,
    covariance: str,
    max_iterations: int,
    tolerance: float,
) -> tuple[Mixture, list[float]]:
    """EM from a given mixture of the standardized features; the likelihoods before each of its steps."""
    objectives = []
    for _ in range(max_iterations):
        statistics, worst = one_pass(
            snippets, offset, scale, functools.partial(expectation, *densities_of(mixture)), len(mixture.means)
        )
        *sums, likelihood = statistics
        objectives.append(float(likelihood) / snippets.total)
        emptiest = int(np.argmin(sums[0]))
        mixture = maximise(*sums, covariance)
        if sums[0][emptiest] < EMPTY:
            mixture = put_elsewhere(mixture, emptiest, worst, sums)
        elif len(objectives) > 1 and abs(objectives[-1] - objectives[-2]) < tolerance:
            break
    return mixture, objectives


def fit_kmeans(snippets: Snippets, components: int, seed: int, max_iterations: int) -> Fitted:
    """Lloyd's iterations from k-means++, until the centres stand still; an empty one is put where the fit is worst."""
    offset, scale = standardization(snippets)
    sample = jnp.asarray((snippets.start - offset) / scale, jnp.float32)
    centres = np.asarray(kmeans(sample, seed_centres(sample, components, jax.random.key(seed)), max_iterations))
    objectives = []
    for _ in range(max_iterations):
        (counts, sums, _, objective), worst = one_pass(
            snippets, offset, scale, functools.partial(nearest, jnp.asarray(centres, jnp.float32)), components
        )
        objectives.append(float(objective) / snippets.total)
        moved = sums / np.maximum(counts, 1)[:, None]
        moved[counts == 0] = centres[counts == 0]
        if (counts == 0).any():
            moved[np.argmin(counts)] = worst
        still = np.abs(moved - centres).max() < 1e-6
        centres = moved
        if still:
            break
    return Fitted(centres * scale + offset, None, objectives)


def standardization(snippets: Snippets) -> tuple[np.ndarray, float]:
    """The mean of each feature [D], and one standard deviation for all, over all snippets."""
    sums = np.zeros(snippets.start.shape[1])
    for x, real in snippets.chunks():
        sums += x[real].sum(axis=0, dtype=np.float64)
    offset = processes.of_each(sums).sum(axis=0) / snippets.total
    squares = 0.0
    for x, real in snippets.chunks():
        squares += np.sum(np.square(x[real] - offset))
    return offset, float(np.sqrt(processes.of_each(np.array(squares)).sum() / snippets.total / len(offset))) + 1e-12


def one_pass(
    snippets: Snippets, offset: np.ndarray, scale: float, statistics: Callable, components: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Sums over all chunks of all processes, float64, and the snippet [D] that is accounted for worst."""
    mesh = jax.sharding.Mesh(jax.local_devices(), "snippets")
    over_devices = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("snippets"))
    centre = jnp.asarray(offset, jnp.float32)
    totals, worst = None, (np.float32(np.inf), np.zeros(len(offset), np.float32))
    for chunk in snippets.chunks():
        x, real = jax.device_put(chunk, over_devices)
        sums, lowest, snippet = jax.device_get(statistics(x=x, real=real, offset=centre, scale=scale))
        sums = [np.asarray(each, np.float64) for each in sums]
        totals = sums if totals is None else [total + each for total, each in zip(totals, sums, strict=True)]
        worst = min(worst, (lowest, snippet), key=lambda each: each[0])
    totals = processes.sum_over_all(totals)
    lowest, candidates = processes.of_each(worst[0]), processes.of_each(worst[1])
    return totals, candidates[np.argmin(lowest)]


@jax.jit
def expectation(means, transforms, constants, x, real, offset, scale):
    """E step of one chunk: (counts [K], sums [K, D], second moments, log-likelihood), the lowest, and whose it is.

    Args:
      means: [K, D].
      transforms: what turns deviations from a mean into independent ones of variance 1: [K, D] or [K, D, D].
      constants: [K], the log-density at the means, the log of the weight included.
      x: [S, D], not standardized.
      real: bool [S].
      offset: [D].
      scale: [].
    """
    x = jnp.where(real[:, None], (x - offset) / scale, 0)
    if transforms.ndim == 3:
        squares = jax.lax.map(lambda k: jnp.sum(jnp.square(product(x - k[0], k[1].T)), axis=1), (means, transforms)).T
    else:
        precisions = jnp.square(transforms)
        squares = product(jnp.square(x), precisions.T) - 2 * product(x, (means * precisions).T)
        squares += jnp.sum(jnp.square(means) * precisions, axis=1)
    log_joint = constants - squares / 2
    likelihoods = jax.nn.logsumexp(log_joint, axis=1)
    shares = jnp.where(real[:, None], jax.nn.softmax(log_joint, axis=1), 0)
    lowest = jnp.argmin(jnp.where(real, likelihoods, jnp.inf))
    sums = (*moments(x, shares, transforms.ndim == 3), jnp.sum(likelihoods, where=real))
    return sums, likelihoods[lowest], x[lowest]


@jax.jit
def nearest(centres, x, real, offset, scale):
    """The same for k-means: each snippet belongs to the nearest of the centres [K, D]."""
    x = jnp.where(real[:, None], (x - offset) / scale, 0)
    distances = squared_distances(x, centres)
    shares = jnp.where(real[:, None], jax.nn.one_hot(jnp.argmin(distances, axis=1), len(centres)), 0)
    objectives = -jnp.min(distances, axis=1)
    lowest = jnp.argmin(jnp.where(real, objectives, jnp.inf))
    return (*moments(x, shares, False), jnp.sum(objectives, where=real)), objectives[lowest], x[lowest]


def moments(x: jax.Array, shares: jax.Array, full: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Counts [K], sums [K, D] and sums of squares [K, D], or of products [K, D, D], by the shares [S, K]."""
    if full:
        second = jax.lax.map(lambda share: product((share[:, None] * x).T, x), shares.T)
    else:
        second = product(shares.T, jnp.square(x))
    return jnp.sum(shares, axis=0), product(shares.T, x), second


def maximise(counts: np.ndarray, sums: np.ndarray, second: np.ndarray, covariance: str) -> Mixture:
    """M step, float64."""
    counts = np.asarray(counts, np.float64) + 1e-15
    weights = counts / counts.sum()
    means = sums / counts[:, None]
    if covariance == "full":
        covariances = second / counts[:, None, None] - means[:, :, None] * means[:, None, :]
        covariances = (covariances + covariances.swapaxes(1, 2)) / 2 + FLOOR * np.eye(means.shape[1])
        return Mixture(means, covariances, weights)
    covariances = np.maximum(second / counts[:, None] - np.square(means), 0) + FLOOR
    if covariance == "spherical":
        covariances = np.broadcast_to(covariances.mean(axis=1, keepdims=True), means.shape)
    return Mixture(means, covariances, weights)


def densities_of(mixture: Mixture) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Means, transforms and constants as `expectation` takes them."""
    if mixture.covariances.ndim == 3:
        transforms = np.linalg.inv(np.linalg.cholesky(mixture.covariances))
        log_scales = np.log(np.diagonal(transforms, axis1=1, axis2=2)).sum(axis=1)
    else:
        transforms = 1 / np.sqrt(mixture.covariances)
        log_scales = np.log(transforms).sum(axis=1)
    width = mixture.means.shape[1]
    constants = np.log(mixture.weights + 1e-300) + log_scales - width / 2 * np.log(2 * np.pi)
    return tuple(jnp.asarray(each, jnp.float32) for each in (mixture.means, transforms, constants))


def put_elsewhere(mixture: Mixture, component: int, snippet: np.ndarray, sums: list[np.ndarray]) -> Mixture:
    """The mixture with one component moved onto a snippet, as wide as all components are on average."""
    means, covariances, weights = (np.array(each) for each in (mixture.means, mixture.covariances, mixture.weights))
    means[component], weights[component] = snippet, 1 / len(weights)
    share = (sums[0] / sums[0].sum()).reshape(-1, *[1] * (covariances.ndim - 1))
    covariances[component] = (share * covariances).sum(axis=0)
    return Mixture(means, covariances, weights / weights.sum())


@functools.partial(jax.jit, static_argnames=("components",))
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


@jax.jit
def kmeans(x: jax.Array, centres: jax.Array, iterations: int) -> jax.Array:
    """Lloyd's iterations from the centres [K, D], until they stand still; a centre that loses all snippets stays."""

    def improve(carry):
        centres, _, iteration = carry
        share = jax.nn.one_hot(jnp.argmin(squared_distances(x, centres), axis=1), len(centres))
        counts = jnp.sum(share, axis=0)[:, None]
        moved = jnp.where(counts > 0, product(share.T, x) / jnp.maximum(counts, 1), centres)
        return moved, jnp.max(jnp.abs(moved - centres)), iteration + 1

    def unfinished(carry):
        return (carry[1] > 0) & (carry[2] < iterations)

    return jax.lax.while_loop(unfinished, improve, (centres, jnp.inf, 0))[0]


def squared_distances(x: jax.Array, centres: jax.Array) -> jax.Array:
    """[S, D], [K, D] -> [S, K], never negative."""
    distances = jnp.sum(x * x, axis=1)[:, None] - 2 * product(x, centres.T) + jnp.sum(centres * centres, axis=1)
    return jnp.maximum(distances, 0)
