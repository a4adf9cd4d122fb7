"""Action proposals from the fused class activations and attention, as published.

A proposal is a run of consecutive snippets whose attention is above one of several
thresholds. It scores by how much more active its class is inside than just outside
(the outer-inner contrast), plus a share of the score of the class in the whole video.
"""

from collections.abc import Sequence

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.soft_nms import soft_nms
from tsc_jax.localization.video_scores import video_scores


def check_thresholds(settings) -> None:
    """Raises InputError where `config.proposals` holds thresholds that are not (first, last, number)."""
    for key in ("attention_thresholds", "activation_thresholds"):
        try:
            first, last, number = settings[key]
            np.linspace(first, last, number)
        except (TypeError, ValueError):
            raise InputError(
                f"config.proposals.{key} is {settings[key]}, expected the first, the last and their number"
            ) from None


def proposals(
    cas: Sequence[np.ndarray],
    attention: Sequence[np.ndarray],
    *,
    topk_ratio: int,
    class_threshold: float,
    attention_thresholds: tuple[float, float, int],
    activation_thresholds: tuple[float, float, int],
    outer_ratio: float,
    video_score_weight: float,
    nms_sigma: float,
) -> Segments:
    """The scored proposals of many videos, after soft-NMS; none is dropped.

    A video's proposals do not depend on the other videos.

    Args:
      cas: fused class activations [T, C + 1] of each video, without padding.
      attention: fused attention [T] of each video.
      topk_ratio: a video's class score pools its T // topk_ratio largest activations.
      class_threshold: classes whose video score reaches it are kept; if none does, the best one is.
      attention_thresholds: the first, the last and the number of the evenly spaced thresholds.
      activation_thresholds: likewise, on each kept class's activations, scaled to 0 .. 1 within the video; their runs
        are proposals of that class besides those above attention thresholds. None in the published code.
      outer_ratio: width of the band on either side of a run, as a share of the run's length.
      video_score_weight: weight of the video score of the class in the score of a proposal.
      nms_sigma: see `soft_nms`.

    Returns:
      Segments in snippets, `end` exclusive; `video` counts from 0. By rising video, then rising
      class, then in the order in which soft-NMS takes them.
    """
    thresholds, of_activations = np.linspace(*attention_thresholds), np.linspace(*activation_thresholds)
    parts = []
    for video, (video_cas, video_attention) in enumerate(zip(cas, attention, strict=True)):
        activations = video_cas * video_attention[:, None]
        scores = video_scores(activations, max(1, len(activations) // topk_ratio))
        classes = np.flatnonzero(scores >= class_threshold)
        if not len(classes):
            classes = scores.argmax(keepdims=True)
        runs = [(classes, *runs_above(video_attention, thresholds))]
        if len(of_activations):
            runs += [([c], *runs_above(scaled(activations[:, c]), of_activations)) for c in classes]
        for labels, start, end in runs:
            contrast = outer_inner_contrast(activations[:, labels], start, end, outer_ratio)
            total = contrast + video_score_weight * scores[labels][:, None]
            repeated = (np.tile(bounds, len(labels)) for bounds in (start, end))
            parts.append(make_segments(video, np.repeat(labels, len(start)), *repeated, total.ravel()))
    return soft_nms(concatenate(parts), nms_sigma)


def scaled(activations: np.ndarray) -> np.ndarray:
    """[T] -> [T] from 0 to 1, all 0 where they do not differ."""
    low, high = activations.min(), activations.max()
    return (activations - low) / max(high - low, np.finfo(activations.dtype).tiny)


def runs_above(attention: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of consecutive snippets with attention above a threshold, for every threshold in turn.

    A threshold that only snippet 0 exceeds gives no run: the published code takes the
    indices of the snippets above, and a lone index 0 for nothing found.

    Args:
      attention: [T]; or any other curve.
      thresholds: [thresholds].

    Returns:
      (start, end), int64 [runs] each, `end` exclusive; by threshold, then by time.
    """
    above = np.zeros((len(thresholds), len(attention) + 2), bool)
    above[:, 1:-1] = attention > thresholds[:, None]
    above[above[:, 1] & (above.sum(axis=1) == 1)] = False
    _, edges = np.nonzero(above[:, 1:] != above[:, :-1])
    return edges[::2], edges[1::2]


def outer_inner_contrast(activations: np.ndarray, start: np.ndarray, end: np.ndarray, outer_ratio: float) -> np.ndarray:
    """Mean activation inside each run minus the mean over the bands on both its sides.

    Args:
      activations: [T, classes].
      start: int [runs].
      end: int [runs], exclusive.
      outer_ratio: width of a band, as a share of the run's length. The bands end with the
        video; where both are empty their mean is 0.

    Returns:
      [classes, runs], of the dtype of the activations.
    """
    margin = outer_ratio * (end - start)
    # Truncated towards zero, not floored, as Python's int() does.
    before = np.maximum(0, (start - margin).astype(np.int64))
    after = np.minimum(len(activations), (end - 1 + margin).astype(np.int64) + 1)
    inner = _sums(activations, start, end)
    outer = _sums(activations, before, start) + _sums(activations, end, after)
    outer_length = np.maximum((start - before) + (after - end), 1)
    return _rounded_means(inner, end - start, activations) - _rounded_means(outer, outer_length, activations)


def _sums(activations: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sums over the stretches [start, end), float64 [classes, stretches]; 0 where one is empty.

    Each stretch is summed by itself: as differences of running totals, equal stretches at
    different times would differ by rounding, and soft-NMS take them out of order.
    """
    closed = np.zeros((activations.shape[1], len(activations) + 1))
    closed[:, :-1] = activations.T
    bounds = np.stack([start, end], axis=1).ravel()
    return np.where(start < end, np.add.reduceat(closed, bounds, axis=1)[:, ::2], 0.0)


def _rounded_means(sums: np.ndarray, lengths: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Means rounded where the published code rounds, so that its order of near-equal scores is kept."""
    return (sums.astype(like.dtype) / lengths).astype(like.dtype)
