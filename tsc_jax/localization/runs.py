"""Runs of consecutive snippets in which a curve exceeds a threshold."""

import numpy as np


def runs_above(curve: np.ndarray, thresholds: np.ndarray, shortest: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Finds the maximal runs, of `shortest` or more snippets, in which the curve [T] exceeds each of the thresholds.

    Returns:
      (start, end): int64 [runs] each, in snippets, `end` exclusive; sorted by position in `thresholds`, then by time.
    """
    above = np.zeros((len(thresholds), len(curve) + 2), bool)
    above[:, 1:-1] = curve > np.asarray(thresholds)[:, None]
    _, edges = np.nonzero(above[:, 1:] != above[:, :-1])
    start, end = edges[::2], edges[1::2]
    kept = end - start >= shortest
    return start[kept], end[kept]
