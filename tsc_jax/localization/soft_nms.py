"""Gaussian soft non-maximum suppression of segments (Bodla et al., 2017), many groups at a time."""

import dataclasses

import numpy as np

from tsc_jax.localization.segments import Segments


def soft_nms(segments: Segments, sigma: float) -> Segments:
    """Lowers the scores of segments that overlap better ones of the same video and class.

    In each group of one video and class: take the best segment, multiply the score of every
    other by exp(-tiou^2 / sigma), repeat until none is left. Of equal scores the first in
    `segments` is taken. tIoU is in the published code's pixel convention: lengths are
    end - start + 1.

    The result is that of the sequential procedure bit for bit. Segments that overlap neither
    directly nor through others leave each other's scores alone, so each such cluster is worked off by
    itself, all clusters of similar size at once, and the orders are merged.

    Args:
      segments: in snippets.
      sigma: width of the Gaussian, positive.

    Returns:
      All segments with their new scores: by rising video, then rising label, then in the
      order taken (not always by falling score: negative scores rise towards 0).
    """
    if not len(segments):
        return segments
    # Every group gets a stretch of one common timeline to itself.
    groups = segments.video * (segments.label.max() + 1) + segments.label
    groups = np.unique(groups, return_inverse=True)[1]
    stretch = groups * (segments.end.max() - segments.start.min() + 2)
    clusters = _clusters(segments.start + stretch, segments.end + stretch)
    members = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters)
    firsts = np.cumsum(sizes) - sizes
    taken, score = members.copy(), segments.score.copy()
    widths = 2 ** np.ceil(np.log2(sizes)).astype(np.int64)
    for width in np.unique(widths):
        these = np.flatnonzero(widths == width)
        places = firsts[these][:, None] + np.arange(width)
        exists = np.arange(width) < sizes[these][:, None]
        rows = members[np.where(exists, places, firsts[these][:, None])]
        order, scores = _take_in_turn(segments.start[rows], segments.end[rows], segments.score[rows], exists, sigma)
        order = np.take_along_axis(rows, order, axis=1)
        taken[places[exists]] = order[exists]
        score[order[exists]] = scores[exists]

    merged = taken[_merge(clusters[taken], groups[taken], score[taken], taken)]
    return dataclasses.replace(segments, score=score)[merged]


def _clusters(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Numbers the clusters of segments that overlap directly or through others: int64 [N]."""
    by_start = np.argsort(start, kind="stable")
    reach = np.maximum.accumulate(end[by_start])
    opens = np.ones(len(start), np.int64)
    opens[1:] = start[by_start][1:] >= reach[:-1] + 1
    clusters = np.empty(len(start), np.int64)
    clusters[by_start] = np.cumsum(opens) - 1
    return clusters


def _take_in_turn(
    start: np.ndarray, end: np.ndarray, score: np.ndarray, exists: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """The sequential procedure on each row of padded [clusters, width] arrays.

    Returns:
      (order, scores): which columns were taken, one after the other, and the scores they had then;
      columns that do not exist come last.
    """
    clusters = np.arange(len(start))
    left, length = exists.copy(), end - start + 1
    score = score.copy()
    order = np.zeros(start.shape, np.int64)
    scores = np.zeros(start.shape)
    for turn in range(start.shape[1]):
        best = np.where(left, score, -np.inf).argmax(axis=1)
        order[:, turn] = best
        scores[:, turn] = score[clusters, best]
        left[clusters, best] = False
        best_start, best_end, best_length = (array[clusters, best][:, None] for array in (start, end, length))
        overlap = np.maximum(0, np.minimum(end, best_end) - np.maximum(start, best_start) + 1)
        tiou = overlap / (length + best_length - overlap)
        score *= np.exp(-(tiou**2) / sigma)
    return order, scores


def _merge(clusters: np.ndarray, groups: np.ndarray, score: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The order in which the sequential procedure takes segments of all clusters of a group.

    It always takes the best of the clusters' next ones. So a segment goes as soon as all before
    it in its cluster are gone, unless it is worse than they are: its turn is that of the worst so far.

    Args:
      clusters: [N], rising; within a cluster the segments stand in the order taken there.
      groups: [N].
      score: [N], when taken.
      index: [N], decides between equal scores: the lower goes first.
    """
    count = len(score)
    rank = np.empty(count, np.int64)
    rank[np.lexsort([index, -score])] = np.arange(count)
    worst_so_far = np.maximum.accumulate(clusters * count + rank) - clusters * count
    return np.lexsort([worst_so_far, groups])
