"""Where mAP is lost: what kind of errors the predictions make, on which classes, lengths and videos.

In the manner of DETAD (Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018). Which prediction
finds which instance is decided by `detection.matches` alone, so that every number here agrees with the mAP.

All functions take ground truth and predictions in one unit, one tIoU `threshold`, and the number C of classes.
"""

import dataclasses

import numpy as np

from tsc_jax.evaluation.detection import (
    areas,
    average_precisions,
    matches,
    monotone_precision,
    overlapping_pairs,
    turns,
)
from tsc_jax.localization.segments import Segments

KINDS = (
    "true positive",
    "double detection",
    "wrong label",
    "localization error",
    "confusion error",
    "background error",
)
LOWEST_TIOU = 0.1  # below it, a prediction has nothing to do with an instance
SLICES = 10
LENGTHS = ("XS", "S", "M", "L", "XL")


@dataclasses.dataclass(frozen=True)
class ByLength:
    """Instances in five groups by length, XS to XL, each about a fifth of them; equal lengths stay together.

    (DETAD fixes the bounds for each data set; fifths mean something on any.)

    Attributes:
      upper: float64 [5], the largest length of each group, in the unit of the segments; a group begins above the
        one before.
      instances: int64 [5].
      missed: int64 [5], how many of them no prediction finds: the false negatives.
      mean_ap: float64 [5], mAP from 0 to 1 over the classes of the group's instances. Predictions that find an instance
        of another group are left out, and so are those that find none and are of another group's length. NaN for
        a group without instances.
    """

    upper: np.ndarray
    instances: np.ndarray
    missed: np.ndarray
    mean_ap: np.ndarray


def found_instances(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """The row of `ground_truth` that each prediction finds, -1 where it finds none: int64 [N]."""
    order = turns(predictions)
    found = np.empty(len(predictions), np.int64)
    found[order] = matches(ground_truth, predictions[order], [threshold], num_classes)[0]
    return found


def kinds(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """What each prediction is, as an index into KINDS: int64 [N].

    The first of these that holds, where "own" are the instances of its video and class, "other" those of its video and
    another class:

      true positive       it finds an own instance (see `detection.average_precisions`)
      double detection    tIoU with an own instance >= threshold, but predictions of higher score found all of those
      wrong label         tIoU with an other instance >= threshold
      localization error  LOWEST_TIOU <= tIoU with an own instance < threshold
      confusion error     LOWEST_TIOU <= tIoU with an other instance < threshold
      background error    none of these: tIoU < LOWEST_TIOU with every instance
    """
    found = found_instances(ground_truth, predictions, threshold, num_classes)
    prediction, truth, tiou = video_pairs(ground_truth, predictions)
    is_own = ground_truth.label[truth] == predictions.label[prediction]
    other, own = best = np.zeros((2, len(predictions)))
    np.maximum.at(best, (is_own.astype(int), prediction), tiou)
    conditions = [found >= 0, own >= threshold, other >= threshold, own >= LOWEST_TIOU, other >= LOWEST_TIOU]
    return np.select(conditions, range(len(conditions)), len(conditions))


def video_pairs(ground_truth: Segments, predictions: Segments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`detection.overlapping_pairs`, whatever the classes."""
    unlabelled = (dataclasses.replace(each, label=np.zeros_like(each.label)) for each in (ground_truth, predictions))
    return overlapping_pairs(*unlabelled, num_classes=1)


def slices(ground_truth: Segments, predictions: Segments, num_classes: int) -> np.ndarray:
    """In which slice of its class's ranking each prediction stands: int64 [N].

    With G instances of a class, its G predictions of highest score are slice 0, the next G slice 1, and so on; a
    detector without fault has true positives alone in slice 0. -1 for a class without instances, which no mAP
    counts either.
    """
    order = turns(predictions)
    label = predictions.label[order]
    rank = np.arange(len(order)) - np.searchsorted(label, label)
    truths = np.bincount(ground_truth.label, minlength=num_classes)[label]
    result = np.empty(len(order), np.int64)
    result[order] = np.where(truths > 0, rank // np.maximum(truths, 1), -1)
    return result


def error_profile(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """How many predictions of each kind stand in each of the first SLICES `slices`: int64 [SLICES, KINDS]."""
    place = slices(ground_truth, predictions, num_classes)
    kind = kinds(ground_truth, predictions, threshold, num_classes)
    counted = (place >= 0) & (place < SLICES)
    profile = np.bincount(place[counted] * len(KINDS) + kind[counted], minlength=SLICES * len(KINDS))
    return profile.reshape(SLICES, len(KINDS))


def gains(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """By how much mAP, from 0 to 1, would rise without the predictions of one kind: float64 [KINDS].

    First each of the errors by itself, that is KINDS without the true positives, then all of them at once, which leaves
    only what is never found. The ranks of the others close up; nothing else changes, because an error takes no
    instance away.
    """
    kind = kinds(ground_truth, predictions, threshold, num_classes)

    def mean_ap(kept: np.ndarray) -> float:
        return np.nanmean(average_precisions(ground_truth, predictions[kept], [threshold], num_classes))

    without = [mean_ap(kind != error) for error in range(1, len(KINDS))]
    return np.array([*without, mean_ap(kind == 0)]) - mean_ap(kind >= 0)


def mistaken(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> np.ndarray:
    """How often a class is taken for another: int64 [C, C], true class by predicted class.

    Counted are the predictions of slice 0 (see `slices`) that are of the kind "wrong label"; the true class is
    that of the instance with the highest tIoU.
    """
    kind = kinds(ground_truth, predictions, threshold, num_classes)
    counted = (slices(ground_truth, predictions, num_classes) == 0) & (kind == KINDS.index("wrong label"))
    prediction, truth, _ = video_pairs(ground_truth, predictions[counted])
    best = np.diff(prediction, prepend=-1) > 0  # of a prediction's pairs the first has the highest tIoU
    result = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(result, (ground_truth.label[truth[best]], predictions.label[counted][prediction[best]]), 1)
    return result


def precision_recall(
    ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int
) -> list[tuple[np.ndarray, np.ndarray] | None]:
    """Recall and precision of each class at each of its true positives, by falling score.

    Precision is the best at that recall or a higher one, so that the area under these steps, the sum of the precisions
    over the number of instances, is the average precision. None for a class without instances.
    """
    order = turns(predictions)
    hits = found_instances(ground_truth, predictions, threshold, num_classes)[order] >= 0
    labels = predictions.label[order]
    curves = []
    for label, truths in enumerate(np.bincount(ground_truth.label, minlength=num_classes)):
        of_class = hits[labels == label]
        recall = np.arange(1, of_class.sum() + 1) / max(truths, 1)
        curves.append((recall, monotone_precision(of_class)[of_class]) if truths else None)
    return curves


def by_length(ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int) -> ByLength:
    """mAP and missed instances by the length of the instances."""
    lengths, found_lengths = (np.round(each.end - each.start, 3) for each in (ground_truth, predictions))
    places = np.arange(1, len(LENGTHS) + 1) / len(LENGTHS)
    upper = np.quantile(lengths, places, method="inverted_cdf")
    group, other_group = (np.searchsorted(upper[:-1], each) for each in (lengths, found_lengths))

    order = turns(predictions)
    predictions, other_group = predictions[order], other_group[order]
    found = matches(ground_truth, predictions, [threshold], num_classes)[0]
    of_group = np.where(found >= 0, group[found], other_group)
    is_missed = ~np.isin(np.arange(len(ground_truth)), found)
    mean_ap = np.full(len(LENGTHS), np.nan)
    for number in np.unique(group):
        kept = of_group == number
        truths = np.bincount(ground_truth.label[group == number], minlength=num_classes)
        mean_ap[number] = np.nanmean(areas(found[None, kept] >= 0, predictions.label[kept], truths))
    counts = (np.bincount(rows, minlength=len(LENGTHS)) for rows in (group, group[is_missed]))
    return ByLength(upper, *counts, mean_ap)


def video_precisions(
    ground_truth: Segments, predictions: Segments, threshold: float, num_classes: int, num_videos: int
) -> np.ndarray:
    """Average precision of each video by itself: float64 [V], from 0 to 1; NaN for a video without instances.

    All predictions of the video stand in one ranking whatever their class, so that a confident prediction of
    a wrong class costs as much as one in the wrong place.
    """
    order = np.lexsort([-predictions.score, predictions.video])
    hits = found_instances(ground_truth, predictions, threshold, num_classes)[order] >= 0
    truths = np.bincount(ground_truth.video, minlength=num_videos)
    return areas(hits[None], predictions.video[order], truths)[0]
