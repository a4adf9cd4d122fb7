"""FAC-Net's action proposals and class scores, as published.

Each modality makes proposals of its own: runs of snippets in which the probability of a class exceeds one of several
thresholds, then NMS within the class. The proposals of both modalities then meet in a second NMS.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.special

from tsc_jax import settings as rules
from tsc_jax.localization import class_tracks
from tsc_jax.localization.segments import Segments, concatenate

OfVideo = Mapping[str, np.ndarray]


def localize(
    outputs: Sequence[OfVideo],
    modalities: Sequence[str],
    settings,
    keep: Callable[[Segments], Segments] = lambda segments: segments,
) -> Segments:
    """Localizes the actions of V videos; no video influences another.

    Args:
      outputs: per video, without padding, and for each modality, the snippet scores "NAME/scores" [T, C + 1] and the
        class-agnostic logits "NAME/class_agnostic" [C + 1].
      modalities: their names; one, or RGB and then optical flow.
      settings: `config.proposals`; configs/common.py explains each value.
      keep: filters the proposals of a modality between its NMS and the fusion.

    Returns:
      The proposals, in snippets: by rising video, then rising class, then in the order in which NMS takes them.
    """
    parts = [keep(suppressed(outputs, name, settings)) for name in modalities]
    fused = fuse(*parts, settings) if len(parts) == 2 else parts[0]
    return fused.scaled(1 / settings.upsampling)


def class_scores(outputs: Sequence[OfVideo], modalities: Sequence[str]) -> np.ndarray:
    """The class scores float64 [V, C] of V videos, the mean over the modalities; arguments as in `localize`."""
    return np.mean([[modality_scores(output, name) for output in outputs] for name in modalities], axis=0)


def suppressed(outputs: Sequence[OfVideo], modality: str, settings) -> Segments:
    """The proposals of one modality after its NMS."""
    parts = [candidates(video, output, modality, settings) for video, output in enumerate(outputs)]
    return class_tracks.suppress(concatenate(parts), settings)


def candidates(video: int, output: OfVideo, modality: str, settings) -> Segments:
    """The proposals of one video and modality before NMS. Its class scores choose classes; they rank no proposal."""
    tracks = probabilities(output[f"{modality}/scores"])
    return class_tracks.candidates(video, tracks, modality_scores(output, modality), settings)


def modality_scores(output: OfVideo, modality: str) -> np.ndarray:
    """The class-agnostic probabilities [C] of a video in one modality."""
    return probabilities(output[f"{modality}/class_agnostic"])[:-1]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the C + 1 classes, float64."""
    return scipy.special.softmax(logits.astype(np.float64), axis=-1)


def fuse(rgb: Segments, flow: Segments, settings) -> Segments:
    """The proposals of both modalities after a second NMS.

    The low weight ranks RGB behind flow, so RGB adds what flow does not cover.
    """
    rgb = dataclasses.replace(rgb, score=settings.rgb_weight * rgb.score)
    return class_tracks.suppress(concatenate([rgb, flow]), settings, settings.fusion_nms_limit)


def check_proposals(settings) -> None:
    """Raises InputError for an invalid value in `config.proposals`."""
    fusion = {"rgb_weight": rules.POSITIVE, "fusion_nms_limit": rules.SHARE}
    rules.check("proposals", settings, class_tracks.RULES | fusion)
