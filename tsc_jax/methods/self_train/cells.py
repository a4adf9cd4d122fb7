"""The cells of a pyramid in time: the segments that they give, and what each one shall say of pseudo segments.

A cell of level l holds 2^l snippets. Times are in snippets: snippet i lasts from i to i + 1.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.methods.self_train.network import whole_cells


def segments_of(distances, level: int):
    """Starts and ends [..., N] of the segments whose distances [..., N, 2] the N cells of a level give.

    Works on arrays of NumPy and of JAX; the results may lie outside of the video.
    """
    middle = np.broadcast_to(np.float32((np.arange(distances.shape[-2]) + 0.5) * 2**level), distances.shape[:-1])
    return middle - distances[..., 0], middle + distances[..., 1]


def range_of(level: int, settings) -> tuple[float, float]:
    """The larger distance to an end that segments of a level have: from the first number to below the second."""
    first = 0.0 if level == 0 else settings.first_range * 2.0 ** (level - 1)
    return first, np.inf if level == settings.levels - 1 else settings.first_range * 2.0**level


def assign(
    labels: jax.Array, distances: jax.Array, level: int, settings, background: int
) -> tuple[jax.Array, jax.Array]:
    """What the cells of a level shall say: the class int32 [B, N], `background` for none, and distances [B, N, 2].

    A cell answers for the segment at its middle, if this is within `centre_radius` cells of the middle of the segment
    and the larger distance to an end is in the range of the level.

    Args:
      labels: int32 [B, T], the class of the segment that each snippet belongs to; `background` where there is none.
      distances: float32 [B, T, 2], from the middle of the snippet to the start and the end of this segment.
      level: from 0.
      settings: `config.student.regression`.
      background: C.
    """
    width, widest = 2**level, 2 ** (settings.levels - 1)
    # The snippet at the middle of the cell, or the one before it.
    place = (width - 1) // 2
    labels = whole_cells(labels, widest, background)[:, place::width]
    distances = whole_cells(distances, widest)[:, place::width]
    ahead = width / 2 - (place + 0.5)  # from the middle of the snippet to the middle of the cell
    start, end = distances[..., 0] + ahead, distances[..., 1] - ahead
    low, high = range_of(level, settings)
    larger = jnp.maximum(start, end)
    taken = (labels != background) & (start > 0) & (end > 0) & (low <= larger) & (larger < high)
    taken &= jnp.abs(end - start) / 2 <= settings.centre_radius * width
    return jnp.where(taken, labels, background), jnp.stack([start, end], axis=-1)
