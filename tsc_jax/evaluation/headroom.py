"""Headroom: what each step from activations to segments costs, measured by making that step alone perfect.

All functions take ground truth and predictions in the same unit; C is the number of classes. The oracles look at the
ground truth, so their mAP is a bound, never a result.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tsc_jax.evaluation import detection
from tsc_jax.evaluation.diagnosis import pairs_of_all_classes
from tsc_jax.localization.groups import best_scores
from tsc_jax.localization.nms import hard_nms
from tsc_jax.localization.segments import Segments

# The steps, and what is known of each prediction when it is perfect.
STEPS = {
    "ranking": "the score becomes the tIoU with the instance that it finds, 0 for none; each instance is found once",
    "video classes": "predictions of classes that the video does not show are dropped",
    "segment classes": "the class becomes that of the instance that it overlaps most",
    "boundaries": "start and end become those of the instance of its class that it overlaps most",
}
MISSING = "missing proposals"
SHARES = (0.3, 0.5, 0.7)  # of the best score of the video and class, from which proposals become pseudo labels


class Headroom(NamedTuple):
    """mAP of predictions at each tIoU, and what they lose, from 0 to 1."""

    mean_ap: np.ndarray  # float64 [tIoUs]
    lost: dict[str, np.ndarray]  # float64 [tIoUs] by name of the step, and MISSING


class LabelQuality(NamedTuple):
    """How well segments would do as pseudo labels, at each tIoU; from 0 to 1."""

    precision: np.ndarray  # float64 [tIoUs], share of the segments that are an instance each
    recall: np.ndarray  # float64 [tIoUs], share of the instances that have a segment
    f1: np.ndarray  # float64 [tIoUs], harmonic mean of the two


def headroom(ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int) -> Headroom:
    """Computes mAP, and how much higher it is with one of the STEPS made perfect.

    What even a perfect ranking leaves to 1 is lost because no prediction finds the instance: MISSING. So mAP, the loss
    by ranking and the loss by missing proposals add up to 1; the other losses overlap with these two. Raises InputError
    if there is no ground truth.
    """

    def mean_ap(changed: Segments) -> np.ndarray:
        return detection.mean_average_precision(ground_truth, changed, tious, num_classes)

    now = mean_ap(predictions)
    perfect = {step: mean_ap(changed) for step, changed in oracles(ground_truth, predictions, num_classes).items()}
    lost = {step: raised - now for step, raised in perfect.items()}
    return Headroom(now, lost | {MISSING: 1 - perfect["ranking"]})


def oracles(ground_truth: Segments, predictions: Segments, num_classes: int) -> dict[str, Segments]:
    """Returns the predictions with each of the STEPS made perfect, by its name.

    A prediction that overlaps no instance keeps its class and its boundaries. Of predictions that become equal only the
    best stays, as after any NMS.
    """
    of_own_class = detection.overlapping_pairs(ground_truth, predictions, num_classes)
    own = _best(of_own_class, len(predictions))
    any_class = _best(pairs_of_all_classes(ground_truth, predictions), len(predictions))
    shown = np.isin(_keys(predictions, num_classes), _keys(ground_truth, num_classes))

    def replaced(instance: np.ndarray, *names: str) -> Segments:
        columns = {name: getattr(predictions, name).copy() for name in names}
        for name, column in columns.items():
            column[instance >= 0] = getattr(ground_truth, name)[instance[instance >= 0]]
        return _without_doubles(dataclasses.replace(predictions, **columns))

    changed = (
        dataclasses.replace(predictions, score=_one_to_one(of_own_class, len(predictions))),
        predictions[shown],
        replaced(any_class, "label"),
        replaced(own, "start", "end"),
    )
    return dict(zip(STEPS, changed, strict=True))


def _without_doubles(segments: Segments) -> Segments:
    """The segments, in their order, without those that equal another one of a higher score, or an earlier one."""
    columns = np.stack([segments.video, segments.label, segments.start, segments.end])
    order = np.lexsort([-segments.score, *columns])
    is_first = np.ones(len(segments), bool)
    is_first[1:] = (columns[:, order[1:]] != columns[:, order[:-1]]).any(axis=0)
    return segments[np.sort(order[is_first])]


def _keys(segments: Segments, num_classes: int) -> np.ndarray:
    return segments.video * num_classes + segments.label


def _one_to_one(pairs: tuple[np.ndarray, np.ndarray, np.ndarray], number: int) -> np.ndarray:
    """The tIoU of each prediction with the instance that it finds, float64 [N]: the best pairs first, each row once."""
    result, found = np.zeros(number), set()
    by_tiou = np.argsort(-pairs[2], kind="stable")
    for prediction, truth, tiou in zip(*(column[by_tiou].tolist() for column in pairs), strict=True):
        if not result[prediction] and truth not in found:
            found.add(truth)
            result[prediction] = tiou
    return result


def _best(pairs: tuple[np.ndarray, np.ndarray, np.ndarray], number: int) -> np.ndarray:
    """The instance of the highest tIoU of each prediction, int64 [N]; -1 for none."""
    prediction, truth, _ = pairs
    first = np.diff(prediction, prepend=-1) > 0  # a prediction's first pair has its highest tIoU
    instance = np.full(number, -1)
    instance[prediction[first]] = truth[first]
    return instance


def pseudo_labels(proposals: Segments, known: np.ndarray, share: float) -> Segments:
    """The proposals that would teach a second stage: of known classes, good, and apart from each other.

    `known` bool [V, C] are the labels of the videos. Of overlapping proposals of one class only the best stays, and of
    these the ones with a positive score that is `share` or more of the best score of their video and class.
    """
    proposals = hard_nms(proposals[known[proposals.video, proposals.label]], 0, pixels=False)
    return proposals[(proposals.score > 0) & (proposals.score >= share * best_scores(proposals))]


def label_quality(ground_truth: Segments, labels: Segments, tious: Sequence[float], num_classes: int) -> LabelQuality:
    """Compares segments with the instances, one to one as in mAP but without a ranking: all classes together.

    Without segments, or without instances, everything is 0.
    """
    hits = (detection.assign(ground_truth, labels, tious, num_classes) >= 0).sum(axis=1)
    precision, recall = (hits / max(len(each), 1) for each in (labels, ground_truth))
    f1 = 2 * hits / max(len(labels) + len(ground_truth), 1)
    return LabelQuality(precision, recall, f1)
