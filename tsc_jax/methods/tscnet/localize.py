"""TSC-Net's action proposals and class scores from the fused CAS and attention, as published.

A proposal is a run of consecutive snippets whose attention is above one of several thresholds. Its score is the
inner-outer contrast of its class plus a share of the video score of the class.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import soft_nms
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.video_scores import admitted_classes, video_scores


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> Segments:
    """Localizes the actions of V videos; no video influences another.

    Args:
      outputs: per video, without padding, the fused class activations "cas" [T, C + 1] and the fused "attention" [T].
      settings: `config.proposals`; configs/thumos14.py explains each value.

    Returns:
      The proposals, in snippets, after soft-NMS, which drops none: by rising video (an index into `outputs`), then
      rising class, then in the order in which soft-NMS takes them.
    """
    parts = [
        video_proposals(video, output["cas"], output["attention"], settings) for video, output in enumerate(outputs)
    ]
    return soft_nms(concatenate(parts), settings.nms_sigma, pixels=True)


def video_proposals(video: int, cas: np.ndarray, attention: np.ndarray, settings) -> Segments:
    """The proposals of one video before soft-NMS: by class, then by threshold, then by time."""
    activations = cas * attention[:, None]
    scores = video_scores(activations, max(1, len(activations) // settings.topk_ratio))
    classes = admitted_classes(scores, settings.class_threshold, at_least_one=True)
    thresholds = np.linspace(*settings.attention_thresholds)
    # In the published code, a threshold that only snippet 0 exceeds yields no run.
    thresholds = thresholds[thresholds < attention[1:].max(initial=-np.inf)]
    start, end = runs_above(attention, thresholds)
    score = inner_outer_contrast(activations[:, classes], start, end, settings.outer_ratio)
    score = score + settings.video_score_weight * scores[classes][:, None]
    start, end = (np.tile(bounds, len(classes)) for bounds in (start, end))
    return make_segments(video, np.repeat(classes, score.shape[1]), start, end, score.ravel())


def class_scores(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> np.ndarray:
    """The class scores [V, C] of V videos, for the classification mAP; float64, so that few are equal.

    They are video scores from the ceil(T / `settings.classification_topk_ratio`) largest activations of each class.
    `outputs` and `settings` are those of `localize`.
    """
    tracks = [output["cas"].astype(np.float64) for output in outputs]
    return np.array([video_scores(cas, -(-len(cas) // settings.classification_topk_ratio)) for cas in tracks])


def check_proposals(settings) -> None:
    """Raises InputError for an invalid value in `config.proposals`."""
    rules.check(
        "proposals",
        settings,
        {
            "topk_ratio": rules.COUNT,
            "classification_topk_ratio": rules.COUNT,
            "class_threshold": rules.NUMBER,
            "attention_thresholds": rules.THRESHOLDS,
            "outer_ratio": rules.NOT_NEGATIVE,
            "video_score_weight": rules.NUMBER,
            "nms_sigma": rules.POSITIVE,
        },
    )
