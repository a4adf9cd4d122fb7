"""Detection mAP as the ActivityNet toolkit defines it, with a fixed rule for ties.

All functions take ground truth and predictions in the same unit; `video` and `label` index the same lists in both.
Letters of this module: N predictions, C classes.
"""

from collections.abc import Sequence

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments


def mean_average_precision(
    ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int
) -> np.ndarray:
    """Returns mAP at each tIoU threshold, float64 [tIoUs] from 0 to 1, over the classes with ground truth.

    Raises InputError if there is no ground truth.
    """
    if not len(ground_truth):
        raise InputError("mAP needs ground truth, but the videos to evaluate have no annotated segment")
    return np.nanmean(average_precisions(ground_truth, predictions, tious, num_classes), axis=1)


def average_precisions(
    ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int
) -> np.ndarray:
    """Returns AP per threshold and class, float64 [tIoUs, C]; NaN for a class without ground truth.

    AP is the area under monotone precision over recall. A prediction is a true positive if `assign` gives it a
    ground-truth segment.
    """
    order = ranking(predictions)
    hits = assign(ground_truth, predictions, tious, num_classes).take(order, axis=1) >= 0
    return areas(hits, predictions.label[order], np.bincount(ground_truth.label, minlength=num_classes))


def ranking(predictions: Segments) -> np.ndarray:
    """Returns the rows of the predictions sorted by label, then by falling score; equal scores keep their order."""
    return np.lexsort([-predictions.score, predictions.label])


def assign(ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int) -> np.ndarray:
    """Assigns ground truth to predictions: rows of `ground_truth` or -1 for none, int64 [tIoUs, N].

    Predictions choose in the order of `ranking`. Each takes, among the segments of its video and class that reach the
    threshold and are still free, the one with the highest tIoU; of equal tIoUs, the later row. (The toolkit leaves both
    ties to an unstable sort.) Segments of zero length are never taken.
    """
    order = ranking(predictions)
    prediction, truth, tiou = overlapping_pairs(ground_truth, predictions[order], num_classes)
    assigned = np.full((len(tious), len(predictions)), -1)
    for row, threshold in zip(assigned, tious, strict=True):
        reach = np.flatnonzero(tiou >= threshold)
        taken, served = set(), -1
        for asking, segment in zip(prediction[reach].tolist(), truth[reach].tolist(), strict=True):
            if asking != served and segment not in taken:
                taken.add(segment)
                served = asking
                row[order[asking]] = segment
    return assigned


def areas(hits: np.ndarray, groups: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Returns the area under monotone precision over recall per group of predictions, float64 [tIoUs, G].

    In AP, a group is a class. `hits` bool [tIoUs, N] are the true positives, within a group by falling score; `groups`
    int64 [N], rising; `truths` int64 [G], the number of ground-truth segments per group. NaN for a group without any.
    """
    bounds = np.searchsorted(groups, np.arange(len(truths) + 1))
    result = np.full((len(hits), len(truths)), np.nan)
    for group in np.flatnonzero(truths):
        of_group = hits[:, bounds[group] : bounds[group + 1]]
        # Each hit raises recall by one step.
        result[:, group] = (monotone_precision(of_group) * of_group).sum(axis=1) / truths[group]
    return result


def monotone_precision(hits: np.ndarray) -> np.ndarray:
    """bool [..., N] -> float64 [..., N]: the best precision at each prediction's recall or a higher one."""
    precision = np.cumsum(hits, axis=-1) / np.arange(1, hits.shape[-1] + 1)
    return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def overlapping_pairs(
    ground_truth: Segments, predictions: Segments, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs each prediction with the ground-truth segments of its video and class that overlap it.

    Returns (prediction, truth, tiou): row numbers int64 [pairs] twice and float64 [pairs]; sorted by rising prediction,
    then falling tIoU, then falling truth.
    """
    truth_groups = ground_truth.video * num_classes + ground_truth.label
    groups = predictions.video * num_classes + predictions.label
    by_group = np.argsort(truth_groups, kind="stable")
    first, last = (np.searchsorted(truth_groups[by_group], groups, side) for side in ("left", "right"))
    counts = last - first
    prediction = np.repeat(np.arange(len(predictions)), counts)
    place = np.arange(len(prediction)) - np.repeat(np.cumsum(counts) - counts, counts)
    truth = by_group[np.repeat(first, counts) + place]

    true_start, true_end = ground_truth.start[truth], ground_truth.end[truth]
    start, end = predictions.start[prediction], predictions.end[prediction]
    overlap = np.minimum(true_end, end) - np.maximum(true_start, start)
    union = (true_end - true_start) + (end - start) - overlap
    some = overlap > 0
    prediction, truth, tiou = prediction[some], truth[some], overlap[some] / union[some]
    order = np.lexsort([-truth, -tiou, prediction])
    return prediction[order], truth[order], tiou[order]
