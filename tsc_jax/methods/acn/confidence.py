"""How confident an interval is: class evidence and features inside it against those just outside.

`integral` integrates staircases: a track [B, T, K] equals its value of snippet t from t to t + 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from tsc_jax.methods.acn.intervals import Array, Intervals
from tsc_jax.nn.cosine import unit

SHORTEST = 1e-4  # snippets; a flank that is not longer does not count


def integral(track: jax.Array, start: jax.Array, end: jax.Array) -> jax.Array:
    """The integral of each column of a track [B, T, K] over [start, end], [B, N] each: [B, N, K].

    Differences of float32 cumulative sums would lose the digits of short flanks in long videos.
    """
    snippets = jnp.arange(track.shape[1])[None, None]
    overlap = jnp.minimum(end[..., None], snippets + 1) - jnp.maximum(start[..., None], snippets)
    return jnp.einsum("bnt,btk->bnk", jnp.maximum(overlap, 0), track, precision="highest")


def outer_inner_contrast(integral: Callable, intervals: Intervals, settings) -> tuple[Array, Array]:
    """The class evidence just outside and inside of intervals, [..., K] each; "L_oic" is their difference.

    Args:
      integral: (start, end) -> the integrals of the class evidence.
      intervals: [B, ...]; both results have one axis of classes more.
      settings: `config.intervals`.
    """
    start, end, outer_start, outer_end, _ = intervals
    xp, overhang = start.__array_namespace__(), settings.reading == "inclusive"
    inner = integral(start, end + overhang) / (end - start + 1)[..., None]
    flanks = ((start - outer_start) + (outer_end - end))[..., None]
    outer = integral(outer_start, start) + integral(end + overhang, outer_end + overhang)
    outer = xp.where(flanks > SHORTEST, outer / xp.where(flanks > SHORTEST, flanks, 1), 0)
    return outer, inner


def coherence(features: jax.Array, intervals: Intervals, settings) -> jax.Array:
    """How alike the features inside and outside are: "L_c", the mean cosine with the flanks that count; [B, N].

    Flanks that do not count are those of no length, and those where a vector is zero. It is 1 where none counts.
    """
    start, end, outer_start, outer_end, _ = intervals
    overhang = settings.reading == "inclusive"
    inside = integral(features, start, end + overhang)
    cosines, counts = [], []
    for first, last in ((outer_start, start), (end, outer_end)):
        flank = integral(features, first, last + overhang)
        cosines.append(jnp.sum(unit(inside) * unit(flank), axis=-1))
        nonzero = jnp.any(inside != 0, axis=-1) & jnp.any(flank != 0, axis=-1)
        counts.append((last + overhang - first > SHORTEST) & nonzero)
    number = counts[0].astype(jnp.int32) + counts[1]
    mean = sum(jnp.where(*each, 0) for each in zip(counts, cosines, strict=True)) / jnp.maximum(number, 1)
    return jnp.where(number > 0, mean, 1)


def confidence(outer: Array, inner: Array, coherence: Array, settings) -> Array:
    """The confidence of intervals in every class: [..., K]; `settings` is `config.confidence`."""
    contrast, coherence = outer - inner, coherence[..., None]
    if settings.terms == "contrast":
        return -contrast
    if settings.terms == "coherence":
        return -coherence + 0 * contrast
    return -(settings.alpha * contrast + (1 - settings.alpha) * (coherence - 1))
