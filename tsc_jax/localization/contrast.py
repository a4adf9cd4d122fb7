"""Inner-outer contrast: how much more active a class is inside a run than just outside it."""

import numpy as np


def inner_outer_contrast(
    activations: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    outer_ratio: float,
    *,
    outer_weight: float = 1.0,
    overrun: int = 0,
) -> np.ndarray:
    """Mean activation inside each run minus the weighted mean over the outer bands on both sides.

    Each band is `outer_ratio * (end - start)` snippets wide, rounded down to whole snippets at its far end, and stops
    at the ends of the video. If both bands are empty, their mean is 0. `overrun` snippets after a run count as inside:
    FAC-Net, RSKP and MMSD use 1; in their code the last snippet of the video is then never in the band after the run.

    Args:
      activations: [T, classes]; the result [classes, runs] has its dtype.
      start: int [runs], in snippets; `end`, exclusive, is at most T.
    """
    snippets, margin = len(activations), outer_ratio * (end - start)
    inner_end = np.minimum(end + overrun, snippets)
    first = np.maximum(0, (start - margin).astype(np.int64))
    last = (end - 1 + margin).astype(np.int64) + overrun
    outer_end = np.maximum(inner_end, np.minimum(snippets - overrun, last + 1))
    inner = _sums(activations, start, inner_end)
    outer = _sums(activations, first, start) + _sums(activations, inner_end, outer_end)
    outer_length = np.maximum((start - first) + (outer_end - inner_end), 1)
    # Rounded at the same places as in TSC-Net's published code, which keeps its order of near ties.
    dtype = activations.dtype
    inner_mean = (inner.astype(dtype) / (inner_end - start)).astype(dtype)
    return inner_mean - outer_weight * (outer.astype(dtype) / outer_length).astype(dtype)


def contrast_between(
    track: np.ndarray, start: np.ndarray, end: np.ndarray, outer_ratio: float, outer_weight: float = 1.0
) -> np.ndarray:
    """The same contrast with bands of exactly `outer_ratio * (end - start)` on both sides, not whole snippets.

    Args:
      track: [T]; value t holds from time t to t + 1.
      start: float or int [runs], times within 0 .. T; `end` is larger.

    Returns:
      float64 [runs].
    """
    before, times = np.concatenate([[0.0], np.cumsum(track, dtype=np.float64)]), np.arange(len(track) + 1)

    def integral(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return np.interp(last, times, before) - np.interp(first, times, before)

    margin = outer_ratio * (end - start)
    first, last = np.maximum(0, start - margin), np.minimum(len(track), end + margin)
    outer_length = (start - first) + (last - end)
    outer = integral(first, start) + integral(end, last)
    outer_mean = np.divide(outer, outer_length, out=np.zeros(len(outer)), where=outer_length > 0)
    return integral(start, end) / (end - start) - outer_weight * outer_mean


def _sums(activations: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sums over the stretches [start, end): float64 [classes, stretches], 0 for an empty stretch."""
    # Differences of cumulative sums would round differently for equal stretches at different times.
    padded = np.zeros((activations.shape[1], len(activations) + 1))
    padded[:, :-1] = activations.T
    bounds = np.stack([start, end], axis=1).ravel()
    return np.where(start < end, np.add.reduceat(padded, bounds, axis=1)[:, ::2], 0.0)
