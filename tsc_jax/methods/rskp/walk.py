"""The random walk between the snippets of a video and its prototypes, and the EM steps that find the prototypes.

Letters: B videos, T snippets, E width of the embedding, K prototypes. `mask` is bool [B, T], True where a snippet
exists; `valid` is bool [B, K], True where a prototype exists. Others have no influence.
"""

import jax
import jax.numpy as jnp

from tsc_jax.nn.algebra import each_alone
from tsc_jax.nn.cosine import unit
from tsc_jax.nn.layers import softmax_where


def expectation_maximization(
    start: jax.Array, x: jax.Array, mask: jax.Array, scale: float, rounds: int
) -> tuple[jax.Array, list[jax.Array]]:
    """The prototypes [B, K, E] of each video, and the assignments [B, K, T] of every round.

    Every round begins with the prototypes of the round before, the first with `start` [K, E], for all videos. The
    gradient runs through all rounds.
    """
    prototypes, assignments = jnp.broadcast_to(start, (len(x), *start.shape)), []
    valid = jnp.ones(prototypes.shape[:2], bool)
    for _ in range(rounds):
        z = assign(prototypes, valid, x, mask, scale)
        prototypes = jnp.einsum("bkt,bte->bke", averages(z), x, precision="highest")
        assignments.append(z)
    return prototypes, assignments


def walk(
    x: jax.Array, mask: jax.Array, prototypes: jax.Array, valid: jax.Array, scale: float, weight: float
) -> jax.Array:
    """The snippets x [B, T, E] after the random walk with the prototypes [B, K, E].

    It is the limit of x <- w Z'q + (1 - w) x0, q <- w N x + (1 - w) q0, where w is `weight`, the share of a step that
    crosses from snippets to prototypes or back.
    """
    z = assign(prototypes, valid, x, mask, scale)
    received = jnp.einsum("bkt,bke->bte", z, jnp.where(valid[..., None], prototypes, 0), precision="highest")
    return (1 - weight) * spread(z, x + weight * received, weight)


def assign(prototypes: jax.Array, valid: jax.Array, x: jax.Array, mask: jax.Array, scale: float) -> jax.Array:
    """Z [B, K, T]: how much of each snippet belongs to each prototype, a softmax over the prototypes."""
    cosines = jnp.einsum("bke,bte->bkt", unit(prototypes), unit(x), precision="highest")
    return softmax_where(scale * cosines, valid[:, :, None] & mask[:, None], axis=1)


def averages(z: jax.Array) -> jax.Array:
    """N [B, K, T]: the assignments, with the sum 1 over the snippets of each prototype."""
    return z / (jnp.sum(z, axis=2, keepdims=True) + 1e-9)


def spread(z: jax.Array, v: jax.Array, weight: float) -> jax.Array:
    """(I - w^2 Z'N)^-1 v of the values v [B, T, E], by a system of K equations instead of T.

    With w < 1 the system is well conditioned, because the rows of Z'N and of N Z' sum to at most 1.
    """
    n, share = averages(z), weight**2
    system = jnp.eye(z.shape[1])[None] - share * jnp.einsum("bkt,bjt->bkj", n, z, precision="highest")
    solved = each_alone(jnp.linalg.solve, system, jnp.einsum("bkt,bte->bke", n, v, precision="highest"))
    return v + share * jnp.einsum("bkt,bke->bte", z, solved, precision="highest")
