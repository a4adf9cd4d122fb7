"""Linear algebra on batches of matrices."""

from collections.abc import Callable

import jax


def each_alone(function: Callable, *batched: jax.Array) -> jax.Array:
    """`function` of batched arrays; on a CPU one video after the other.

    On a CPU, LAPACK splits a batch among the threads that devices under pmap wait in for each other: with fewer
    threads than both need, a step would wait forever.
    """

    def in_turn(*batched: jax.Array) -> jax.Array:
        return jax.lax.map(lambda video: function(*video), batched)

    return jax.lax.platform_dependent(*batched, cpu=in_turn, default=function)
