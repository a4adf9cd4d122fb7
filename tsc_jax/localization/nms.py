"""Soft and hard non-maximum suppression (NMS), for all videos and classes at once.

Both take the best segment of a group (one video and class), weaken or remove the others by how much they overlap it,
and repeat; the results equal this sequential procedure bit for bit. Clusters of segments that overlap, directly or
through others, are independent: those of similar size are processed as one padded array, and the orders are merged.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tsc_jax.localization.groups import clusters, groups
from tsc_jax.localization.segments import Segments


def tiou(start, end, other_start, other_end, *, pixels: bool = False) -> np.ndarray:
    """Temporal intersection over union, broadcast over arrays of segments.

    `pixels`: whether lengths are end - start + 1, as for pixel indices, instead of end - start.
    """
    shared = _shared(start, end, other_start, other_end, pixels)
    union = (end - start + pixels) + (other_end - other_start + pixels) - shared
    return shared / np.maximum(union, np.finfo(np.float64).tiny)


def covered_share(start, end, other_start, other_end, *, pixels: bool = False) -> np.ndarray:
    """Share of a segment's own length that the other segment covers; arguments as of `tiou`."""
    shared = _shared(start, end, other_start, other_end, pixels)
    return shared / np.maximum(end - start + pixels, np.finfo(np.float64).tiny)


def _shared(start, end, other_start, other_end, pixels: bool) -> np.ndarray:
    return np.maximum(0, np.minimum(end, other_end) - np.maximum(start, other_start) + pixels)


def soft_nms(segments: Segments, sigma: float, *, pixels: bool) -> Segments:
    """Gaussian soft-NMS (Bodla et al., 2017): multiplies the scores of the others by exp(-tIoU^2 / sigma).

    Among equal scores the first is taken first. Times are in any unit; `pixels` as in `tiou`. Returns all segments with
    their new scores: by rising video, then rising label, then in the order in which they were taken (not always by
    falling score, because negative scores rise towards 0).
    """
    rows, score = _suppress(segments, lambda score, overlap: score * np.exp(-(overlap**2) / sigma), tiou, pixels)
    return dataclasses.replace(segments, score=score)[rows]


def hard_nms(segments: Segments, limit: float, *, pixels: bool, overlap: Callable = tiou) -> Segments:
    """Removes every segment whose overlap with a better one is above `limit`.

    Among equal scores the first is taken first; for the opposite pass `segments[::-1]`. The overlap is `tiou`, or
    `covered_share` for the share of the worse segment. Times are in any unit; `pixels` as in `tiou`. Returns the
    remaining segments: by rising video, then rising label, then falling score.
    """
    return segments[hard_nms_rows(segments, limit, pixels=pixels, overlap=overlap)]


def hard_nms_rows(segments: Segments, limit: float, *, pixels: bool, overlap: Callable = tiou) -> np.ndarray:
    """The rows that `hard_nms` keeps, int64, in the order of its result."""
    return _suppress(segments, lambda score, share: np.where(share > limit, -np.inf, score), overlap, pixels)[0]


def _suppress(segments: Segments, weaken: Callable, overlap: Callable, pixels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Runs the sequential procedure in every group; `weaken` maps (score, overlap) to the new score, -inf removes.

    Returns the rows that were taken, in the order of the result, and the scores [N] that they had then.
    """
    if not len(segments):
        return np.zeros(0, np.int64), segments.score
    group = groups(segments)
    cluster = clusters(group, segments.start, segments.end + pixels)
    members, sizes = np.argsort(cluster, kind="stable"), np.bincount(cluster)
    firsts = np.cumsum(sizes) - sizes
    taken, score = np.full(len(segments), -1), segments.score.copy()
    widths = 2 ** np.ceil(np.log2(sizes)).astype(np.int64)
    for width in np.unique(widths):
        these = np.flatnonzero(widths == width)
        places = firsts[these][:, None] + np.arange(width)
        exists = np.arange(width) < sizes[these][:, None]
        rows = members[np.where(exists, places, firsts[these][:, None])]
        columns = (segments.start[rows], segments.end[rows], segments.score[rows])
        order, scores, happened = _take_in_turn(*columns, exists, weaken, overlap, pixels)
        order = np.take_along_axis(rows, order, axis=1)[happened]
        taken[places[happened]] = order
        score[order] = scores[happened]
    taken = taken[taken >= 0]
    return taken[_merge(cluster[taken], group[taken], score[taken], taken)], score


def _take_in_turn(start, end, score, exists, weaken, overlap, pixels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs the sequential procedure on each row of padded [clusters, width] arrays.

    Returns (order, scores, happened), each [clusters, width]: the columns in the order in which they were taken, their
    scores at that time, and bool, False for the turns in which nothing was left to take.
    """
    clusters, left = np.arange(len(start)), exists.copy()
    order, scores, happened = np.zeros(start.shape, np.int64), np.zeros(start.shape), np.zeros(start.shape, bool)
    for turn in range(start.shape[1]):
        if not left.any():
            break
        best = np.where(left, score, -np.inf).argmax(axis=1)
        happened[:, turn] = left.any(axis=1)
        order[:, turn] = best
        scores[:, turn] = score[clusters, best]
        left[clusters, best] = False
        best_start, best_end = (times[clusters, best][:, None] for times in (start, end))
        score = weaken(score, overlap(start, end, best_start, best_end, pixels=pixels))
        left &= score != -np.inf
    return order, scores, happened


def _merge(clusters: np.ndarray, groups: np.ndarray, score: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The order in which the sequential procedure takes segments from all clusters of a group.

    The arguments [N] are sorted by cluster, within one in the order taken there, with the scores at that time; among
    equal scores the lower index goes first. The procedure always takes the best of the clusters' next segments. A
    segment therefore follows directly after its predecessors in its cluster, unless it is worse than all of them: it
    takes the turn of the worst segment so far.
    """
    count = len(score)
    rank = np.empty(count, np.int64)
    rank[np.lexsort([index, -score])] = np.arange(count)
    worst_so_far = np.maximum.accumulate(clusters * count + rank) - clusters * count
    return np.lexsort([worst_so_far, groups])
