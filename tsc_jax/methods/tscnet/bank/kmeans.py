"""k-means over snippets that need not fit in memory: on some of them first, then on all."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.methods.tscnet.bank.passes import one_pass, product
from tsc_jax.methods.tscnet.bank.snippets import Snippets

STILL = 1e-6  # centres that moved less, in standard deviations, stand still


def start_centres(snippets: Snippets, components: int, seed: int, max_iterations: int) -> np.ndarray:
    """Centres [K, D] of k-means from k-means++ on `snippets.start`."""
    sample = jnp.asarray(snippets.start)
    return np.asarray(kmeans(sample, seed_centres(sample, components, jax.random.key(seed)), max_iterations))


def lloyd(snippets: Snippets, centres: np.ndarray, max_iterations: int) -> tuple[np.ndarray, list[float]]:
    """Lloyd's iterations from centres [K, D], until they stand still; an empty one is put where the fit is worst.

    Returns:
      Centres, float64 [K, D], and before each iteration minus the mean squared distance of a snippet from its centre.
    """
    centres, objectives = np.asarray(centres, np.float64), []
    for _ in range(max_iterations):
        found = one_pass(snippets, *as_densities(centres), hard=True)
        objectives.append(2 * found.objective)
        moved = centres + found.sums / np.maximum(found.counts, 1)[:, None]
        if not found.counts.all():
            moved[np.argmin(found.counts)] = found.worst
        still = np.abs(moved - centres).max() < STILL
        centres = moved
        if still:
            break
    return centres, objectives


def as_densities(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, transforms and constants that make log-densities half the squared distances from centres [K, D]."""
    return centres, np.ones_like(centres), np.zeros(len(centres))


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
    distances = jnp.sum(x * x, axis=1)[:, None] - 2 * product(x, centres.T) + jnp.sum(centres * centres, axis=1)[None]
    return jnp.maximum(distances, 0)
