"""Detection mAP as the ActivityNet toolkit defines it, with its ties decided."""

from collections.abc import Sequence

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments


def mean_average_precision(
    ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int
) -> np.ndarray:
    """mAP at each tIoU threshold: the mean of `average_precisions` over the classes with ground truth.

    Returns:
      float64 [tIoUs], from 0 to 1.

    Raises:
      InputError: there is no ground truth at all.
    """
    if not len(ground_truth):
        raise InputError("mAP needs ground truth, but the videos to evaluate have no annotated segment")
    return np.nanmean(average_precisions(ground_truth, predictions, tious, num_classes), axis=1)


def average_precisions(
    ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int
) -> np.ndarray:
    """Average precision of every class at every tIoU threshold.

    Within a class, predictions go by falling score. Each takes the ground-truth segment of its video with the
    highest tIoU among those that reach the threshold and that none before it took; one that
    finds none is a false positive. AP is the area under precision, made monotone, over recall.

    Equal scores keep the order of `predictions`. Of equal tIoUs the later segment of
    `ground_truth` is taken (the toolkit leaves both to an unstable sort). Segments of zero
    length stay in the ground truth and can only be missed.

    Args:
      ground_truth: in any unit; `video` and `label` index the same lists as in `predictions`.
      predictions: in the same unit.
      tious: thresholds on the temporal intersection over union.
      num_classes: C.

    Returns:
      float64 [tIoUs, C]; NaN for a class without ground truth.
    """
    predictions = predictions[turns(predictions)]
    hits = matches(ground_truth, predictions, tious, num_classes) >= 0
    return areas(hits, predictions.label, np.bincount(ground_truth.label, minlength=num_classes))


def turns(predictions: Segments) -> np.ndarray:
    """The rows of the predictions by label, then falling score: the order in which they take their segments."""
    return np.lexsort([-predictions.score, predictions.label])


def matches(ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int) -> np.ndarray:
    """Which segment each prediction finds at each tIoU threshold, by the rule of `average_precisions`.

    Args:
      ground_truth: in any unit.
      predictions: in the same unit, in the order of their `turns`.
      tious: thresholds.
      num_classes: C.

    Returns:
      int64 [tIoUs, N], rows of `ground_truth`; -1 where a prediction finds none.
    """
    prediction, truth, tiou = overlapping_pairs(ground_truth, predictions, num_classes)
    found = np.full((len(tious), len(predictions)), -1)
    for row, threshold in zip(found, tious, strict=True):
        reach = np.flatnonzero(tiou >= threshold)
        pairs = reach[matched(prediction[reach], truth[reach], len(ground_truth))]
        row[prediction[pairs]] = truth[pairs]
    return found


def areas(hits: np.ndarray, groups: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """The area under precision, made monotone, over recall, for each group of predictions by itself.

    Args:
      hits: bool [tIoUs, N], which predictions find a segment; of a group the first has the highest score.
      groups: int64 [N], rising; with `average_precisions` these are the labels.
      truths: int64 [G], the number of ground-truth segments of each group.

    Returns:
      float64 [tIoUs, G]; NaN for a group without ground truth.
    """
    bounds = np.searchsorted(groups, np.arange(len(truths) + 1))
    result = np.full((len(hits), len(truths)), np.nan)
    for group in np.flatnonzero(truths):
        of_group = hits[:, bounds[group] : bounds[group + 1]]
        # Each hit raises recall by one step.
        result[:, group] = (monotone_precision(of_group) * of_group).sum(axis=1) / truths[group]
    return result


def monotone_precision(hits: np.ndarray) -> np.ndarray:
    """bool [..., N] -> float64 [..., N]: the best precision at the recall of each prediction or a higher one."""
    precision = np.cumsum(hits, axis=-1) / np.arange(1, hits.shape[-1] + 1)
    return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def overlapping_pairs(
    ground_truth: Segments, predictions: Segments, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a prediction and a ground-truth segment of its video and class that overlap.

    Returns:
      (prediction, truth, tiou): row numbers int64 [pairs] each and float64 [pairs]; by rising
      prediction, then falling tIoU, then falling row of ground truth.
    """
    truth_groups = ground_truth.video * num_classes + ground_truth.label
    groups = predictions.video * num_classes + predictions.label
    by_group = np.argsort(truth_groups, kind="stable")
    first, last = (np.searchsorted(truth_groups[by_group], groups, side) for side in ("left", "right"))
    counts = last - first
    prediction = np.repeat(np.arange(len(predictions)), counts)
    place = np.arange(len(prediction)) - np.repeat(np.cumsum(counts) - counts, counts)
    truth = by_group[np.repeat(first, counts) + place]

    start, end = ground_truth.start[truth], ground_truth.end[truth]
    other_start, other_end = predictions.start[prediction], predictions.end[prediction]
    overlap = np.minimum(end, other_end) - np.maximum(start, other_start)
    some = overlap > 0
    union = (end - start)[some] + (other_end - other_start)[some] - overlap[some]
    prediction, truth, tiou = prediction[some], truth[some], overlap[some] / union
    order = np.lexsort([-truth, -tiou, prediction])
    return prediction[order], truth[order], tiou[order]


def matched(prediction: np.ndarray, truth: np.ndarray, num_truths: int) -> np.ndarray:
    """Which pairs come about when each prediction in turn takes the best segment that is left.

    Deferred acceptance gives the same matching without taking turns: all predictions ask for their best segment at
    once, each segment keeps the earliest prediction that asked, the others ask for their next best, until nobody is
    refused.

    Args:
      prediction: int64 [pairs], rising; the lower number has the earlier turn.
      truth: int64 [pairs]; within a prediction the better segment stands first.
      num_truths: number of ground-truth segments.

    Returns:
      The pairs' numbers.
    """
    holder = np.full(num_truths, np.iinfo(np.int64).max)
    has_next = np.append(prediction[1:] == prediction[:-1], False)
    ask = np.flatnonzero(np.diff(prediction, prepend=-1))  # the pair that each prediction asks for now
    while True:
        np.minimum.at(holder, truth[ask], prediction[ask])
        refused = holder[truth[ask]] != prediction[ask]
        if not refused.any():
            return ask
        ask = (ask + refused)[~refused | has_next[ask]]
