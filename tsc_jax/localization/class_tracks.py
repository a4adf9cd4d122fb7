"""Proposals from one track per class: runs above thresholds, inner-outer contrast, NMS within the class.

FAC-Net, RSKP and MMSD localize in this way; their published code ends every proposal one snippet late and measures
overlaps in its own way. The settings of `RULES` turn that off.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import covered_share, hard_nms, tiou
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.upsample import upsampled
from tsc_jax.localization.video_scores import admitted_classes

OVERLAPS = {"tiou": tiou, "covered_share": covered_share}

# Of the section `config.proposals`; configs/common.py explains each value.
RULES = {
    "class_threshold": rules.NUMBER,
    "at_least_one_class": rules.BOOLEAN,
    "upsampling": rules.COUNT,
    "thresholds": rules.THRESHOLDS,
    "shortest": rules.COUNT,
    "outer_ratio": rules.NOT_NEGATIVE,
    "outer_weight": rules.NUMBER,
    "overrun": rules.Rule(lambda value: value in (0, 1), "0 or 1"),
    "nms_limit": rules.SHARE,
    "nms_overlap": rules.one_of(*OVERLAPS),
    "nms_pixels": rules.BOOLEAN,
}


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> Segments:
    """Localizes the actions of V videos by one track per class, as RSKP and MMSD do.

    Args:
      outputs: per video, without padding, the tracks "cas" [T, C + 1] and the scores of the video "class_scores"
        [C + 1]; the background is last.
      settings: `config.proposals`, see `RULES`.

    Returns:
      The proposals in snippets after NMS: by rising video (an index into `outputs`), rising class and falling score.
    """
    parts = [
        candidates(video, output["cas"].astype(np.float64), own, settings)
        for video, (output, own) in enumerate(zip(outputs, class_scores(outputs), strict=True))
    ]
    return suppress(concatenate(parts), settings).scaled(1 / settings.upsampling)


def class_scores(outputs: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """The class scores [V, C] of V videos: their "class_scores" [C + 1] without the background."""
    return np.array([output["class_scores"][:-1] for output in outputs])


def candidates(video: int, tracks: np.ndarray, scores: np.ndarray, settings) -> Segments:
    """The proposals of one video before NMS: by class, then by threshold, then by time.

    Args:
      video: index of the video.
      tracks: [T, C] or with more columns after them; a proposal of class c is a run of column c.
      scores: class scores [C], which choose the classes; they do not enter the scores of the proposals.
      settings: see `RULES`; `overrun` values after a run belong to its proposal too.

    Returns:
      Segments in units of 1 / upsampling snippets.
    """
    classes = admitted_classes(scores, settings.class_threshold, at_least_one=settings.at_least_one_class)
    tracks, thresholds = upsampled(tracks, settings.upsampling), np.linspace(*settings.thresholds)
    parts = []
    for label in classes:
        start, end = runs_above(tracks[:, label], thresholds, settings.shortest)
        (score,) = inner_outer_contrast(
            tracks[:, [label]], start, end, settings.outer_ratio,
            outer_weight=settings.outer_weight, overrun=settings.overrun,
        )  # fmt: skip
        parts.append(make_segments(video, label, start, end + settings.overrun, score))
    return concatenate(parts)


def suppress(segments: Segments, settings, limit: float | None = None) -> Segments:
    """Hard NMS within each video and class, as published: of equal scores the later candidate is taken first.

    `limit` is `config.proposals.nms_limit` unless given.
    """
    limit = settings.nms_limit if limit is None else limit
    return hard_nms(segments[::-1], limit, pixels=settings.nms_pixels, overlap=OVERLAPS[settings.nms_overlap])


def check_proposals(settings) -> None:
    """Raises InputError for an invalid value in `config.proposals`."""
    rules.check("proposals", settings, RULES)
