"""RSKP's action proposals: runs of each class in the fused class scores, as published.

A proposal is a run of snippets whose score of a class is above one of several thresholds; its score is the
inner-outer contrast. Hard NMS keeps the best of those that overlap.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.class_tracks import RULES, candidates, suppress
from tsc_jax.localization.segments import Segments, concatenate
from tsc_jax.localization.upsample import upsampled
from tsc_jax.localization.video_scores import admitted_classes


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> tuple[Segments, np.ndarray]:
    """Localizes the actions of V videos.

    Args:
      outputs: per video, without padding, the scores "cas" [T, C + 1] and "class_scores" [C + 1] (see `network.fuse`).
      settings: `config.proposals`; configs/rskp_thumos14.py explains each value.

    Returns:
      The proposals in snippets after NMS: by rising video (an index into `outputs`), rising class and falling score.
      And the class scores [V, C].
    """
    parts = [
        video_candidates(video, output["cas"], output["class_scores"], settings) for video, output in enumerate(outputs)
    ]
    kept = suppress(concatenate(parts), settings).scaled(1 / settings.upsampling)
    return kept, np.array([output["class_scores"][:-1] for output in outputs])


def video_candidates(video: int, cas: np.ndarray, class_scores: np.ndarray, settings) -> Segments:
    """The proposals of one video before NMS, in units of 1 / upsampling snippets."""
    classes = admitted_classes(class_scores[:-1], settings.class_threshold, at_least_one=settings.at_least_one_class)
    return candidates(video, upsampled(cas.astype(np.float64), settings.upsampling), classes, settings)


def check_proposals(settings) -> None:
    """Raises InputError for invalid values of `config.proposals`."""
    rules.check("proposals", settings, RULES | {"upsampling": rules.COUNT})
