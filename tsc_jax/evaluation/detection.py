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
    predictions = predictions[np.lexsort([-predictions.score, predictions.label])]
    prediction, truth, tiou = overlapping_pairs(ground_truth, predictions, num_classes)
    hits = np.zeros((len(tious), len(predictions)), bool)
    for row, threshold in zip(hits, tious, strict=True):
        reach = tiou >= threshold
        row[matched(prediction[reach], truth[reach], len(ground_truth))] = True

    truths = np.bincount(ground_truth.label, minlength=num_classes)
    bounds = np.searchsorted(predictions.label, np.arange(num_classes + 1))
    result = np.full((len(tious), num_classes), np.nan)
    for label in np.flatnonzero(truths):
        of_class = hits[:, bounds[label] : bounds[label + 1]]
        precision = np.cumsum(of_class, axis=1) / np.arange(1, of_class.shape[1] + 1)
        # The best precision at this recall or a higher one; each hit raises recall by one step.
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        result[:, label] = (envelope * of_class).sum(axis=1) / truths[label]
    return result


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
    """Which predictions find a segment when each in turn takes the best that is left.

    Deferred acceptance gives the same matching without taking turns: all predictions ask for their best segment at
    once, each segment keeps the earliest prediction that asked, the others ask for their next best, until nobody is
    refused.

    Args:
      prediction: int64 [pairs], rising; the lower number has the earlier turn.
      truth: int64 [pairs]; within a prediction the better segment stands first.
      num_truths: number of ground-truth segments.

    Returns:
      The numbers of the matched predictions.
    """
    holder = np.full(num_truths, np.iinfo(np.int64).max)
    has_next = np.append(prediction[1:] == prediction[:-1], False)
    ask = np.flatnonzero(np.diff(prediction, prepend=-1))  # the pair that each prediction asks for now
    while True:
        np.minimum.at(holder, truth[ask], prediction[ask])
        refused = holder[truth[ask]] != prediction[ask]
        if not refused.any():
            return prediction[ask]
        ask = (ask + refused)[~refused | has_next[ask]]
