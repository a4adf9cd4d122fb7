"""Proposals from one track per class: runs above thresholds, inner-outer contrast, NMS within the class.

FAC-Net, RSKP and MMSD localize in this way; their published code ends every proposal one snippet late and measures
overlaps in its own way. The settings of `RULES` turn that off.
"""

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import covered_share, hard_nms, tiou
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import Segments, concatenate, make_segments

OVERLAPS = {"tiou": tiou, "covered_share": covered_share}

# Of the section `config.proposals`; configs/facnet_thumos14.py explains each value.
RULES = {
    "class_threshold": rules.NUMBER,
    "at_least_one_class": rules.BOOLEAN,
    "thresholds": rules.THRESHOLDS,
    "shortest": rules.COUNT,
    "outer_ratio": rules.NOT_NEGATIVE,
    "outer_weight": rules.NUMBER,
    "overrun": rules.Rule(lambda value: value in (0, 1), "0 or 1"),
    "nms_limit": rules.SHARE,
    "nms_overlap": rules.one_of(*OVERLAPS),
    "nms_pixels": rules.BOOLEAN,
}


def candidates(video: int, tracks: np.ndarray, classes: np.ndarray, settings) -> Segments:
    """The proposals of one video before NMS, in snippets: by class, then by threshold, then by time.

    Args:
      video: index of the video.
      tracks: [T, C] or with more columns after them; a proposal of class c is a run of column c.
      classes: int, the classes that the video shows, rising.
      settings: see `RULES`; `overrun` snippets after a run belong to its proposal too.
    """
    thresholds, parts = np.linspace(*settings.thresholds), []
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
