"""Means and sums over the snippets of each video, exact on padded batches.

`mask` is boolean [B, T], True where a snippet exists.
"""

import jax
import jax.numpy as jnp


def mean_over_time(x: jax.Array, mask: jax.Array) -> jax.Array:
    """[B, T] -> [B], over the snippets that exist; 0 where none does."""
    return jnp.sum(x, axis=1, where=mask) / jnp.maximum(jnp.sum(mask, axis=1), 1)


def mean_of_largest(x: jax.Array, mask: jax.Array, ratio: int) -> jax.Array:
    """Mean over time of the max(1, T_i // ratio) largest values per column: [B, T, K] -> [B, K].

    It is 0 where T_i is 0. The mean of the smallest ones is -mean_of_largest(-x).
    """
    lengths = jnp.sum(mask, axis=1)
    wanted = jnp.minimum(jnp.maximum(lengths // ratio, 1), lengths)
    largest = jnp.where(mask[..., None], x, -jnp.inf).swapaxes(1, 2)
    largest, _ = jax.lax.top_k(largest, max(1, x.shape[1] // ratio))
    taken = jnp.arange(largest.shape[-1])[None, None] < wanted[:, None, None]
    return jnp.sum(largest, axis=-1, where=taken) / jnp.maximum(wanted, 1)[:, None]


def weighted_sum(weights: jax.Array, x: jax.Array, mask: jax.Array) -> jax.Array:
    """Sums over the snippets of a video, one per column of weights: [B, T, K], [B, T, E] -> [B, K, E]."""
    weights, x = (jnp.where(mask[..., None], array, 0) for array in (weights, x))
    return jnp.einsum("btk,bte->bke", weights, x, precision="highest")
