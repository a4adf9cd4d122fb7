"""TSC-Net's action proposals and class scores from the fused CAS and attention, as published.

A proposal is a run of consecutive snippets whose attention is above one of several thresholds. Its score is the
inner-outer contrast of its class plus a share of the video score of the class.
"""

from collections.abc import Mapping, Sequence

import ml_collections
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization import steps
from tsc_jax.localization.segments import Segments
from tsc_jax.localization.video_scores import video_scores


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> Segments:
    """Localizes the actions of V videos; no video influences another.

    Args:
      outputs: per video, without padding, the fused class activations "cas" [T, C + 1] and the fused "attention" [T].
      settings: `config.proposals`; configs/thumos14.py explains each value.

    Returns:
      The proposals, in snippets, after soft-NMS, which drops none: by rising video (an index into `outputs`), then
      rising class, then in the order in which soft-NMS takes them.
    """
    scores = np.array([gate_scores(output, settings.topk_ratio) for output in outputs])
    return steps.localize(outputs, scores, steps_of(settings), probabilities=False)


def gate_scores(output: Mapping[str, np.ndarray], topk_ratio: int) -> np.ndarray:
    """The video scores [C] from the T // `topk_ratio` largest attended activations of each class, float32."""
    activations = output["cas"] * output["attention"][:, None]
    return video_scores(activations, max(1, len(activations) // topk_ratio))


def steps_of(settings) -> ml_collections.ConfigDict:
    """`config.proposals` as settings of `localization.steps`."""
    same = {key: settings[key] for key in ("class_threshold", "outer_ratio", "video_score_weight", "nms_sigma")}
    return ml_collections.ConfigDict(steps.PUBLISHED | same | {"thresholds": settings.attention_thresholds})


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
