"""Graphs of the snippets of a video: Gaussian affinities, and scores that near snippets share (Park et al., 2019).

The refined scores s* = (I + mu L)^-1 s minimise |s - x|^2 + mu x'L x over x; L is the Laplacian of the affinities.
Each refined score is a weighted average of its column: a column keeps its mean, and no value leaves its range.

Letters: B videos, T snippets, D width of features, K columns. `mask` is boolean [B, T], True where a snippet exists.
Everything is float32; memory grows with T^2 per video.
"""

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.nn.algebra import each_alone

# "mean" divides the strength mu by the number of snippets, "sum" uses it as it is (the paper's formula).
LAPLACIANS = ("mean", "sum")

# Of the keys that `config.graph` of GRN and `config.refine` of any method share.
RULES = {
    "strength": rules.NOT_NEGATIVE,
    "laplacian": rules.one_of(*LAPLACIANS),
    "bandwidth": rules.one_of("median", "width"),
}


def squared_distances(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Squared Euclidean distances between the snippets x [B, T, D] of each video: [B, T, T], 0 on the diagonal."""
    x = jnp.where(mask[..., None], x.astype(jnp.float32), 0)
    # Distances do not depend on the origin; about the mean, less is lost to rounding.
    mean = jnp.sum(x, axis=1, keepdims=True) / jnp.maximum(jnp.sum(mask, axis=1), 1)[:, None, None]
    x = x - jax.lax.stop_gradient(mean)
    products = jnp.einsum("btd,bsd->bts", x, x, precision="highest")
    squares = jnp.sum(jnp.square(x), axis=-1)
    distances = jnp.maximum(squares[:, :, None] + squares[:, None, :] - 2 * products, 0)
    return jnp.where(jnp.eye(x.shape[1], dtype=bool)[None], 0, distances)


def bandwidths(distances: jax.Array, mask: jax.Array, width: int, rule: str) -> jax.Array:
    """The divisor 2 eps^2 of the squared distances [B, T, T] of each video, without gradient: [B].

    `rule` is "median", the median over the pairs of snippets of a video (1 where that is 0 or there is no pair), or
    "width", the width of the features.
    """
    videos, snippets = mask.shape
    if rule == "width":
        return jnp.full(videos, width, jnp.float32)
    pairs = mask[:, :, None] & mask[:, None, :] & jnp.triu(jnp.ones((snippets, snippets), bool), 1)[None]
    values = jnp.where(pairs, jax.lax.stop_gradient(distances), jnp.inf).reshape(videos, -1)
    number = jnp.sum(pairs, axis=(1, 2))
    middle = jnp.stack([(number - 1) // 2, number // 2], axis=1)
    median = jnp.mean(jnp.take_along_axis(jnp.sort(values, axis=1), jnp.maximum(middle, 0), axis=1), axis=1)
    return jnp.where((number > 0) & (median > 0), median, 1)


def affinities(features: jax.Array, mask: jax.Array, bandwidth: str) -> jax.Array:
    """exp(-|x_i - x_j|^2 / (2 eps^2)) for snippets x [B, T, D] that exist, 0 for others: [B, T, T].

    `bandwidth` is a rule of `bandwidths`.
    """
    distances = squared_distances(features, mask)
    scale = bandwidths(distances, mask, features.shape[-1], bandwidth)
    return jnp.where(mask[:, :, None] & mask[:, None, :], jnp.exp(-distances / scale[:, None, None]), 0)


def refine(affinity: jax.Array, maps: jax.Array, mask: jax.Array, strength: float, laplacian: str) -> jax.Array:
    """(I + mu L)^-1 applied to every column of `maps` [B, T, K]: [B, T, K], 0 where no snippet exists.

    Args:
      affinity: [B, T, T], symmetric, 0 where a snippet does not exist.
      maps: any real values per snippet.
      mask: bool [B, T].
      strength: mu, or T mu where `laplacian` is "mean".
      laplacian: one of LAPLACIANS.
    """
    lengths = jnp.maximum(jnp.sum(mask, axis=1), 1) if laplacian == "mean" else jnp.ones(len(mask))
    identity = jnp.eye(mask.shape[1])[None]
    between = jnp.where(identity > 0, 0, affinity) * (strength / lengths)[:, None, None]
    # The identity where no snippet exists.
    system = identity * (1 + jnp.sum(between, axis=-1))[:, :, None] - between
    return solve(system, jnp.where(mask[..., None], maps, 0))


def solve(system: jax.Array, right: jax.Array) -> jax.Array:
    """Solves positive definite systems [B, T, T] x = [B, T, K]; the gradient uses the same Cholesky factor."""
    factor = each_alone(jnp.linalg.cholesky, jax.lax.stop_gradient(system))

    def multiply(x: jax.Array) -> jax.Array:
        return jnp.einsum("bts,bsk->btk", system, x, precision="highest")

    return jax.lax.custom_linear_solve(
        multiply, right, lambda _, right: each_alone(by_factor, factor, right), symmetric=True
    )


def by_factor(factor: jax.Array, right: jax.Array) -> jax.Array:
    """Solves factor factor' x = right for lower triangular factors [..., T, T]."""
    half = jax.lax.linalg.triangular_solve(factor, right, left_side=True, lower=True)
    return jax.lax.linalg.triangular_solve(factor, half, left_side=True, lower=True, transpose_a=True)
