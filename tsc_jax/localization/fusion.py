"""Fusion: proposals of one action become one segment. For pseudo labels, which need one segment per action.

As the final output, suppression is better: it leaves a ranked list of alternatives.
"""

import numpy as np

from tsc_jax.localization.groups import best_scores, groups, pairs
from tsc_jax.localization.nms import covered_share, hard_nms_rows
from tsc_jax.localization.segments import Segments, concatenate, make_segments

REACH = 6  # half lengths from its middle at which a wave ends; it is below 1e-6 of its height there
POINTS_PER_SEGMENT = 16  # of the grid on which waves are added, in the shortest proposal of the group
MOST_POINTS = 2**16  # of one grid


def gaussian_fusion(
    segments: Segments, *, cover: float = 0.25, temperature: float = 0.2, relative: bool = True
) -> Segments:
    """Averages each of the best proposals with those that it covers.

    In every video and class, repeatedly: the best proposal left takes those left of which it covers more than the share
    `cover` of their own length. Their start, end and score are averaged with the weights exp(score / T). T is
    `temperature`, if `relative` times the best score of the video and class. Times are in any unit. Returns the
    averages: by rising video, then rising label, then falling score of the best proposal of each.
    """
    if not len(segments):
        return segments
    leaders = hard_nms_rows(segments, cover, pixels=False, overlap=covered_share)
    led_by = _leaders(segments, leaders, cover)
    scale = temperature * (np.abs(best_scores(segments)) if relative else 1)
    # Below the score of the leader, so that nothing overflows; where all scores are 0, all weigh the same.
    below = segments.score - segments.score[leaders][led_by]
    weight = np.exp(below / np.where(scale > 0, scale, 1))
    total = np.bincount(led_by, weight)
    columns = (segments.start, segments.end, segments.score)
    means = (np.bincount(led_by, weight * column) / total for column in columns)
    return make_segments(segments.video[leaders], segments.label[leaders], *means)


def _leaders(segments: Segments, leaders: np.ndarray, cover: float) -> np.ndarray:
    """Which place in `leaders`, rows in the order in which they were taken, takes each of the segments: int64 [N]."""
    group = groups(segments)
    first, last = (np.searchsorted(group[leaders], group, side) for side in ("left", "right"))
    result = np.empty(len(segments), np.int64)
    for row, place, rows in pairs(first, last):
        leader = leaders[place]
        times = (each[of] for of in (row, leader) for each in (segments.start, segments.end))
        takes = (covered_share(*times) > cover) | (row == leader)
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        result[rows] = np.minimum.reduceat(np.where(takes, place, len(leaders)), starts)
    return result


def ricker_fusion(segments: Segments) -> Segments:
    """Adds a wave per proposal; the segments are the stretches where the sum is positive.

    The wave of a proposal is score / sqrt(length) * (1 - x^2) exp(-x^2 / 2), a Ricker wavelet, with x = -1 at its start
    and x = 1 at its end. Beyond its ends a wave is negative, so neighbours stay apart. A proposal of a negative score
    pushes the sum down inside. Proposals without length have no wave. The score of a segment is its energy, the
    integral of the squared sum: 0.468 score^2 for a lone proposal, in any unit of time; it grows with the number of
    proposals that agree. Stretches outside of all proposals with a positive score are left out. Returns the segments by
    rising video, then rising label, then rising time.
    """
    segments = segments[segments.end > segments.start]
    group = groups(segments)
    return concatenate(_stretches(segments[group == each]) for each in np.unique(group[segments.score > 0]))


def _stretches(segments: Segments) -> Segments:
    """The stretches of one video and class, in which one proposal or more has a positive score."""
    good, half = segments[segments.score > 0], (segments.end - segments.start) / 2
    begin, end = good.start.min(), good.end.max()
    points = min(MOST_POINTS, int(np.ceil((end - begin) * POINTS_PER_SEGMENT / (2 * half.min()))))
    times, step = np.linspace(begin, end, points + 1, retstep=True)
    summed = _waves((segments.start + segments.end) / 2, half, segments.score / np.sqrt(2 * half), times)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], summed > 0, [False]])))
    if not len(edges):
        return make_segments([], [], [], [])
    energy = np.add.reduceat(np.append(summed**2, 0), edges)[::2] * step
    starts, ends = _crossings(summed, edges, times, step).reshape(-1, 2).T
    return make_segments(segments.video[0], segments.label[0], starts, ends, energy)


def _crossings(summed: np.ndarray, edges: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    """When the sum, linear between its values at `times`, changes its sign just before the points `edges`.

    The ends of the grid count as changes.
    """
    before, after = np.maximum(edges - 1, 0), np.minimum(edges, len(times) - 1)
    share = summed[before] / np.where(before < after, summed[before] - summed[after], np.inf)
    return times[before] + step * share


def _waves(centre: np.ndarray, half: np.ndarray, height: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The sum of N waves [N] at rising times: float64 [points]."""
    first, last = (np.searchsorted(times, centre + side * REACH * half) for side in (-1, 1))
    some = last > first
    centre, half, height, first, last = (each[some] for each in (centre, half, height, first, last))
    summed = np.zeros(len(times))
    for row, place, _ in pairs(first, last):
        squared = ((times[place] - centre[row]) / half[row]) ** 2
        summed += np.bincount(place, height[row] * (1 - squared) * np.exp(-squared / 2), len(times))
    return summed
