"""Pseudo labels: from what a teacher says of the training videos to segments, and to what they say of each snippet."""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.data.dataset import Video
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.localization.fusion import gaussian_fusion, ricker_fusion
from tsc_jax.localization.groups import best_scores
from tsc_jax.localization.segments import Segments, concatenate, make_segments

# Of the section `config.labels`, beside those of the steps; configs/self_training.py explains each value.
RULES = {
    "source": rules.one_of("base", "annotations"),
    "fusion": rules.one_of("none", "gaussian", "ricker"),
    "cover": rules.SHARE,
    "temperature": rules.POSITIVE,
    "least_share": rules.SHARE,
}


def pseudo_segments(
    outputs: Sequence[Mapping[str, np.ndarray]], class_scores: np.ndarray, shown: np.ndarray, settings
) -> Segments:
    """The segments that training takes for the truth, in snippets; `video` is an index into `outputs`.

    Args:
      outputs: of the teacher, per video, the class probabilities "cas" [T, C + 1] and "attention" [T].
      class_scores: of the teacher, [V, C].
      shown: bool [V, C], the video-level labels: no other class is proposed.
      settings: `config.labels`.
    """
    segments = steps.propose(outputs, class_scores, settings, probabilities=True, shown=shown)
    if settings.fusion == "gaussian":
        segments = gaussian_fusion(segments, cover=settings.cover, temperature=settings.temperature)
    elif settings.fusion == "ricker":
        segments = ricker_fusion(segments)
    segments = steps.suppress(segments, settings)
    return segments[segments.score >= settings.least_share * best_scores(segments)]


def annotated_segments(videos: Sequence[Video]) -> Segments:
    """The true segments of videos, in snippets.

    Raises InputError where no video has any.
    """
    parts = [
        make_segments(index, video.segment_labels, *video.segments.T).in_snippets(video.clock)
        for index, video in enumerate(videos)
    ]
    segments = concatenate(parts)
    if not len(segments):
        raise InputError(
            "config.labels.source is 'annotations', but no training video has annotated segments; expected 'base'"
        )
    return segments


def snippet_labels(segments: Segments, lengths: Sequence[int], classes: int) -> np.ndarray:
    """The class of every snippet of all videos, one video after the other: int32 [sum of lengths], C for background."""
    return np.append(segments.label, classes)[owners(segments, lengths)].astype(np.int32)


def snippet_distances(segments: Segments, lengths: Sequence[int]) -> np.ndarray:
    """From the middle of every snippet to the start and the end of its segment: float32 [sum of lengths, 2].

    In snippets, 0 or more; 0 for background. The videos follow one after the other.
    """
    owner, middle = owners(segments, lengths), np.concatenate([np.arange(length) + 0.5 for length in lengths])
    start, end = (np.append(times, 0)[owner] for times in (segments.start, segments.end))
    distances = np.stack([middle - start, end - middle], axis=1)
    return np.where(owner[:, None] < 0, 0, distances).astype(np.float32)


def owners(segments: Segments, lengths: Sequence[int]) -> np.ndarray:
    """The row in `segments` of the segment that every snippet belongs to: int64 [sum of lengths], -1 for none.

    A snippet belongs to a segment that holds its middle; of several, to the one with the best score.
    """
    firsts = np.cumsum(lengths) - lengths
    rows = np.full(np.sum(lengths), -1)
    for row in np.argsort(segments.score, kind="stable"):
        video = segments.video[row]
        start, end = np.clip(np.ceil([segments.start[row] - 0.5, segments.end[row] - 0.5]), 0, lengths[video])
        rows[firsts[video] + int(start) : firsts[video] + int(end)] = row
    return rows


def check(settings) -> None:
    """Raises InputError for an invalid value in `config.labels`."""
    steps.check("labels", settings)
    rules.check("labels", settings, RULES)
