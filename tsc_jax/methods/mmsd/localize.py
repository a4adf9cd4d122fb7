"""MMSD's action proposals: runs of each class in the fused snippet scores, as published.

A proposal is a run of snippets whose score of a class is above one of several thresholds; its score is the
inner-outer contrast. Hard NMS keeps the best of those that overlap. The class score of the video does not enter it.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.class_tracks import RULES, candidates, suppress
from tsc_jax.localization.segments import Segments, concatenate
from tsc_jax.localization.video_scores import admitted_classes


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings) -> tuple[Segments, np.ndarray]:
    """Localizes the actions of V videos.

    Args:
      outputs: per video, without padding, the scores "cas" [T, C + 1] and "class_scores" [C + 1] (see `network.fuse`).
      settings: `config.proposals`; configs/mmsd_thumos14.py explains each value.

    Returns:
      The proposals in snippets after NMS: by rising video (an index into `outputs`), rising class and falling score.
      And the class scores [V, C].
    """
    parts = [video_candidates(video, output, settings) for video, output in enumerate(outputs)]
    return suppress(concatenate(parts), settings), np.array([output["class_scores"][:-1] for output in outputs])


def video_candidates(video: int, output: Mapping[str, np.ndarray], settings) -> Segments:
    """The proposals of one video before NMS: by class, then by threshold, then by time."""
    scores = output["class_scores"][:-1]
    classes = admitted_classes(scores, settings.class_threshold, at_least_one=settings.at_least_one_class)
    return candidates(video, output["cas"].astype(np.float64), classes, settings)


def check_proposals(settings) -> None:
    """Raises InputError for an invalid value in `config.proposals`."""
    rules.check("proposals", settings, RULES)
