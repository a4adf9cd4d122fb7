"""Groups of segments: what NMS, density and fusion compare are the segments of one video and class."""

from collections.abc import Iterator

import numpy as np

from tsc_jax.localization.segments import Segments

PAIRS = 2**18  # compared at once; as many numbers fit into a processor's cache


def groups(segments: Segments) -> np.ndarray:
    """A number for each segment's video and class, int64 [N]; it rises with the video, then with the class."""
    return segments.video * (segments.label.max(initial=0) + 1) + segments.label


def clusters(groups: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Numbers the clusters of segments of one group that overlap directly or through others: int64 [N]."""
    # Ranks instead of times: every group gets its own stretch of one common timeline, without rounding.
    times, ranks = np.unique(np.concatenate([start, end]), return_inverse=True)
    start, end = ranks.reshape(2, -1) + groups * len(times)
    by_start = np.argsort(start, kind="stable")
    reach = np.maximum.accumulate(end[by_start])
    opens = np.ones(len(start), np.int64)
    opens[1:] = start[by_start][1:] >= reach[:-1]
    result = np.empty(len(start), np.int64)
    result[by_start] = np.cumsum(opens) - 1
    return result


def best_scores(segments: Segments) -> np.ndarray:
    """The best score in the video and class of each segment, float64 [N]."""
    _, group = np.unique(groups(segments), return_inverse=True)
    best = np.full(group.max(initial=-1) + 1, -np.inf)
    np.maximum.at(best, group, segments.score)
    return best[group]


def pairs(first: np.ndarray, last: np.ndarray, most: int = PAIRS) -> Iterator[tuple[np.ndarray, np.ndarray, slice]]:
    """Pairs each of R rows with the places first <= place < last, at least one, in blocks of bounded size.

    Yields (row, place, rows): int64 [pairs] twice, by rising row, then place; and the rows of this block. A block has
    at most `most` pairs, or a single row.
    """
    counts = last - first
    before = np.concatenate([[0], np.cumsum(counts)])
    begin = 0
    while begin < len(counts):
        stop = max(begin + 1, int(np.searchsorted(before, before[begin] + most, "right")) - 1)
        row = np.repeat(np.arange(begin, stop), counts[begin:stop])
        place = np.arange(len(row)) - (before[row] - before[begin]) + first[row]
        yield row, place, slice(begin, stop)
        begin = stop
