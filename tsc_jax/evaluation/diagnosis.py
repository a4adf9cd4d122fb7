"""Where mAP is lost: which errors the predictions make, and in which classes, lengths and videos.

Follows DETAD (Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018). `detection.assign` alone
decides which prediction finds which instance, so all numbers agree with the mAP.

All functions take ground truth and predictions in the same unit, one tIoU `threshold` and the number C of classes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tsc_jax.evaluation import detection
from tsc_jax.localization.segments import Segments

KINDS = "true positive", "double detection", "wrong label", "localization error", "confusion error", "background error"
LOWEST_TIOU = 0.1  # below it, a prediction is unrelated to an instance
SLICES = 10
LENGTHS = ("XS", "S", "M", "L", "XL")
# Groups of instances by name, each with its largest value; DETAD too chooses the bounds for the data.
GROUPS = {
    "coverage": {"XS: to 20%": 0.2, "S: to 40%": 0.4, "M: to 60%": 0.6, "L: to 80%": 0.8, "XL: above 80%": np.inf},
    "instances per video": {"XS: 1": 1, "S: 2 to 4": 4, "M: 5 to 8": 8, "L: above 8": np.inf},
}


class ByLength(NamedTuple):
    """Results for five groups of instances by length, XS to XL; see `by_length`."""

    upper: np.ndarray  # float64 [5], the largest length in each group, in the unit of the segments
    instances: np.ndarray  # int64 [5]
    missed: np.ndarray  # int64 [5], instances that no prediction finds (false negatives)
    mean_ap: np.ndarray  # float64 [5], from 0 to 1; NaN for an empty group


class Missed(NamedTuple):
    """The instances of G groups, and how many of them no prediction finds (false negatives)."""

    names: tuple[str, ...]  # G
    instances: np.ndarray  # int64 [G]
    missed: np.ndarray  # int64 [G]


def middle(tious: Sequence[float]) -> float:
    """Returns the threshold nearest to 0.5, at which a single number is given."""
    return min(tious, key=lambda tiou: abs(tiou - 0.5))


def found_instances(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Returns int64 [N]: the row of `ground_truth` that each prediction finds, or -1."""
    return detection.assign(ground_truth, predictions, [threshold], num_classes)[0]


def is_missed(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Returns bool [N]: whether no prediction finds the instance, whatever its score."""
    found = found_instances(ground_truth, predictions, threshold, num_classes)
    return ~np.isin(np.arange(len(ground_truth)), found)


def kinds(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Classifies the predictions: int64 [N], indices into KINDS.

    The first condition that holds decides. "Own" instances have the prediction's video and class, "other" instances its
    video and another class.

      true positive       it finds an own instance (see `detection.assign`)
      double detection    tIoU with an own instance >= threshold, but predictions of higher score found all of these
      wrong label         tIoU with an other instance >= threshold
      localization error  LOWEST_TIOU <= tIoU with an own instance < threshold
      confusion error     LOWEST_TIOU <= tIoU with an other instance < threshold
      background error    tIoU < LOWEST_TIOU with every instance
    """
    instance = found_instances(ground_truth, predictions, threshold, num_classes)
    prediction, truth, tiou = pairs_of_all_classes(ground_truth, predictions)
    is_own = ground_truth.label[truth] == predictions.label[prediction]
    other, own = best = np.zeros((2, len(predictions)))
    np.maximum.at(best, (is_own.astype(int), prediction), tiou)
    conditions = [instance >= 0, own >= threshold, other >= threshold, own >= LOWEST_TIOU, other >= LOWEST_TIOU]
    return np.select(conditions, range(len(conditions)), len(conditions))


def pairs_of_all_classes(ground_truth: Segments, predictions: Segments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`detection.overlapping_pairs` regardless of class."""
    unlabelled = (dataclasses.replace(each, label=np.zeros_like(each.label)) for each in (ground_truth, predictions))
    return detection.overlapping_pairs(*unlabelled, num_classes=1)


def slices(ground_truth: Segments, predictions: Segments, num_classes: int) -> np.ndarray:
    """Divides each class's ranking into slices: int64 [N], the slice of each prediction.

    For a class with G instances, the G predictions of highest score are slice 0, the next G slice 1, and so on. A
    perfect detector has only true positives in slice 0. -1 for a class without instances, which mAP ignores.
    """
    order = detection.ranking(predictions)
    label = predictions.label[order]
    rank = np.arange(len(order)) - np.searchsorted(label, label)
    truths = np.bincount(ground_truth.label, minlength=num_classes)[label]
    result = np.empty(len(order), np.int64)
    result[order] = np.where(truths > 0, rank // np.maximum(truths, 1), -1)
    return result


def error_profile(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Counts the predictions of each kind in the first SLICES `slices`: int64 [SLICES, KINDS]."""
    place = slices(ground_truth, predictions, num_classes)
    kind = kinds(ground_truth, predictions, threshold, num_classes)
    counted = (place >= 0) & (place < SLICES)
    profile = np.zeros((SLICES, len(KINDS)), np.int64)
    np.add.at(profile, (place[counted], kind[counted]), 1)
    return profile


def gains(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Returns how much mAP (0 to 1) would rise without one kind of error: float64 [KINDS].

    One number per error (KINDS without the true positives), then one for all errors removed at once, which leaves only
    missed instances. An error takes no instance, so removing errors changes nothing but ranks.
    """
    kind = kinds(ground_truth, predictions, threshold, num_classes)
    kept = [kind >= 0, *(kind != error for error in range(1, len(KINDS))), kind == 0]
    precisions = (
        detection.average_precisions(ground_truth, predictions[rows], [threshold], num_classes) for rows in kept
    )
    everything, *without = map(np.nanmean, precisions)
    return np.array(without) - everything


def mistaken(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """Counts how often a class is taken for another: int64 [C, C], true class by predicted class.

    Counts the predictions of kind "wrong label" in slice 0 (see `slices`); the true class is that of the instance with
    the highest tIoU.
    """
    kind = kinds(ground_truth, predictions, threshold, num_classes)
    counted = (slices(ground_truth, predictions, num_classes) == 0) & (kind == KINDS.index("wrong label"))
    prediction, truth, _ = pairs_of_all_classes(ground_truth, predictions[counted])
    best = np.diff(prediction, prepend=-1) > 0  # a prediction's first pair has its highest tIoU
    result = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(result, (ground_truth.label[truth[best]], predictions.label[counted][prediction[best]]), 1)
    return result


def precision_recall(
    ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int
) -> list[tuple[np.ndarray, np.ndarray] | None]:
    """Returns (recall, precision) of each class at its true positives by falling score; None without instances.

    Precision is the best at that recall or a higher one, so the area under these steps is the average precision.
    """
    order = detection.ranking(predictions)
    hits = found_instances(ground_truth, predictions, threshold, num_classes)[order] >= 0
    labels = predictions.label[order]
    curves = []
    for label, truths in enumerate(np.bincount(ground_truth.label, minlength=num_classes)):
        of_class = hits[labels == label]
        recall = np.arange(1, of_class.sum() + 1) / max(truths, 1)
        curves.append((recall, detection.monotone_precision(of_class)[of_class]) if truths else None)
    return curves


def by_length(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> ByLength:
    """Returns mAP and missed instances by the length of the instances.

    Each group has about a fifth of the instances; equal lengths stay together. (DETAD fixes the bounds per data set;
    fifths are meaningful on any.) mAP is that of the classes of the group's instances, without the predictions that
    find an instance of another group or find none and have another group's length.
    """
    predictions = predictions[detection.ranking(predictions)]
    lengths, predicted_lengths = (np.round(each.end - each.start, 3) for each in (ground_truth, predictions))
    upper = np.quantile(lengths, np.arange(1, len(LENGTHS) + 1) / len(LENGTHS), method="inverted_cdf")
    group, group_by_length = (np.searchsorted(upper[:-1], each) for each in (lengths, predicted_lengths))

    instance = found_instances(ground_truth, predictions, threshold, num_classes)
    predicted_group = np.where(instance >= 0, group[instance], group_by_length)
    missed = ~np.isin(np.arange(len(ground_truth)), instance)
    mean_ap = np.full(len(LENGTHS), np.nan)
    for number in np.unique(group):
        kept = predicted_group == number
        truths = np.bincount(ground_truth.label[group == number], minlength=num_classes)
        mean_ap[number] = np.nanmean(detection.areas(instance[None, kept] >= 0, predictions.label[kept], truths))
    counts = (np.bincount(rows, minlength=len(LENGTHS)) for rows in (group, group[missed]))
    return ByLength(upper, *counts, mean_ap)


def coverage(ground_truth: Segments, durations: np.ndarray) -> np.ndarray:
    """Returns the share of its video that each instance covers, float64 [N]; `durations` [V] are in the same unit."""
    return (ground_truth.end - ground_truth.start) / durations[ground_truth.video]


def number_in_video(ground_truth: Segments, num_classes: int) -> np.ndarray:
    """Returns how many instances of its own class the video of each instance has, int64 [N]."""
    key = ground_truth.video * num_classes + ground_truth.label
    return np.bincount(key)[key] if len(key) else key


def count_missed(values: np.ndarray, groups: Mapping[str, float], missed: np.ndarray) -> Missed:
    """Counts the instances, and those of them that are `missed` (bool [N]), in groups of `values` [N].

    `groups` gives the largest value of each group by name, the smallest first; the last one takes all that are left.
    """
    group = np.searchsorted(list(groups.values())[:-1], np.round(values, 9))
    return Missed(tuple(groups), *(np.bincount(rows, minlength=len(groups)) for rows in (group, group[missed])))


def false_negatives(
    ground_truth: Segments,
    predictions: Segments,
    threshold: float,
    num_classes: int,
    shares: np.ndarray | None,
    groups: Mapping[str, Mapping[str, float]] = GROUPS,
) -> dict[str, Missed]:
    """Counts missed instances by coverage (`shares`, see `coverage`) and by `number_in_video`, in groups of each.

    Without `shares`, because durations are not known, there is nothing by coverage.
    """
    missed = is_missed(ground_truth, predictions, threshold, num_classes)
    values = {"coverage": shares, "instances per video": number_in_video(ground_truth, num_classes)}
    return {name: count_missed(each, groups[name], missed) for name, each in values.items() if each is not None}


def video_precisions(
    ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int, num_videos: int
) -> np.ndarray:
    """Returns the average precision of each video: float64 [V], from 0 to 1; NaN for a video without instances.

    All predictions of a video form one ranking regardless of class, so a confident prediction of a wrong class costs as
    much as one in the wrong place.
    """
    order = np.lexsort([-predictions.score, predictions.video])
    hits = found_instances(ground_truth, predictions, threshold, num_classes)[order] >= 0
    truths = np.bincount(ground_truth.video, minlength=num_videos)
    return detection.areas(hits[None], predictions.video[order], truths)[0]
