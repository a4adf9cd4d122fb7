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
    "ranking": "score := best tIoU with an instance of its class",
    "video classes": "predictions of classes that the video does not show are dropped",
    "segment classes": "the class becomes that of the instance that it overlaps most",
    "boundaries": "start and end become those of the instance of its class that it overlaps most",
}
SHARES = (0.3, 0.5, 0.7)  # of the best score of the video and class, from which proposals become pseudo labels


class Headroom(NamedTuple):
    """mAP of predictions at each tIoU as they are, and with one step perfect; from 0 to 1."""

    mean_ap: np.ndarray  # float64 [tIoUs]
    perfect: dict[str, np.ndarray]  # float64 [tIoUs] by name of the step
    found: np.ndarray  # float64 [tIoUs], share of the instances that some prediction finds, mean over the classes

    @property
    def gained(self) -> dict[str, np.ndarray]:
        """The mAP that a perfect step would add, float64 [tIoUs] by name of the step."""
        return {step: mean_ap - self.mean_ap for step, mean_ap in self.perfect.items()}


class LabelQuality(NamedTuple):
    """How well segments would do as pseudo labels, at each tIoU; from 0 to 1."""

    precision: np.ndarray  # float64 [tIoUs], share of the segments that are an instance each
    recall: np.ndarray  # float64 [tIoUs], share of the instances that have a segment
    f1: np.ndarray  # float64 [tIoUs], harmonic mean of the two


def headroom(ground_truth: Segments, predictions: Segments, tious: Sequence[float], num_classes: int) -> Headroom:
    """Computes mAP with one of the STEPS made perfect, and the share of instances that any prediction finds.

    An instance that no prediction finds is lost whatever the ranking; 1 - `found` is what missing proposals cost.
    Raises InputError if there is no ground truth.
    """

    def mean_ap(changed: Segments) -> np.ndarray:
        return detection.mean_average_precision(ground_truth, changed, tious, num_classes)

    changed = oracles(ground_truth, predictions, num_classes)
    hits = detection.assign(ground_truth, changed["ranking"], tious, num_classes) >= 0
    instances = np.bincount(ground_truth.label, minlength=num_classes)
    found = np.array([np.bincount(predictions.label[row], minlength=num_classes) for row in hits])
    of_classes = found[:, instances > 0] / instances[instances > 0]
    perfect = {step: mean_ap(segments) for step, segments in changed.items()}
    return Headroom(mean_ap(predictions), perfect, of_classes.mean(axis=1))


def oracles(ground_truth: Segments, predictions: Segments, num_classes: int) -> dict[str, Segments]:
    """Returns the predictions with each of the STEPS made perfect, by its name.

    A prediction that overlaps no instance keeps its class and its boundaries; the perfect ranking scores it 0.
    """
    own, tiou = _best(detection.overlapping_pairs(ground_truth, predictions, num_classes), len(predictions))
    any_class, _ = _best(pairs_of_all_classes(ground_truth, predictions), len(predictions))
    shown = np.zeros((max(ground_truth.video.max(initial=0), predictions.video.max(initial=0)) + 1, num_classes), bool)
    shown[ground_truth.video, ground_truth.label] = True

    def replaced(name: str, instance: np.ndarray) -> np.ndarray:
        column = getattr(predictions, name).copy()
        column[instance >= 0] = getattr(ground_truth, name)[instance[instance >= 0]]
        return column

    changes = (
        dataclasses.replace(predictions, score=tiou),
        predictions[shown[predictions.video, predictions.label]],
        dataclasses.replace(predictions, label=replaced("label", any_class)),
        dataclasses.replace(predictions, start=replaced("start", own), end=replaced("end", own)),
    )
    return dict(zip(STEPS, changes, strict=True))


def _best(pairs: tuple[np.ndarray, np.ndarray, np.ndarray], number: int) -> tuple[np.ndarray, np.ndarray]:
    """The instance of the highest tIoU of each prediction, int64 [N] with -1 for none, and this tIoU, or 0."""
    prediction, truth, tiou = pairs
    first = np.diff(prediction, prepend=-1) > 0  # a prediction's first pair has its highest tIoU
    instance, best = np.full(number, -1), np.zeros(number)
    instance[prediction[first]], best[prediction[first]] = truth[first], tiou[first]
    return instance, best


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
