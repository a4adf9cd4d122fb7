"""Proposals in settable steps, for every method: tracks -> runs -> scores -> density -> NMS.

`PUBLISHED` are the settings of TSC-Net; configs/plus.py has settings that are better on all data that were tried.
Everything is read from the outputs of one video at a time, so no video
influences another, but NMS, which works on all of them at once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.special

from tsc_jax import settings as rules
from tsc_jax.localization.contrast import contrast_between, inner_outer_contrast
from tsc_jax.localization.density import by_density
from tsc_jax.localization.nms import hard_nms, soft_nms
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.upsample import upsampled
from tsc_jax.localization.video_scores import admitted_classes

OfVideo = Mapping[str, np.ndarray]

# TSC-Net's published localization. The keys of a section of steps, such as `config.localization`.
PUBLISHED = {
    "class_threshold": 0.2,  # on the class score of the video; the best class is always kept
    # whose runs are proposals: those of the "attention", for every kept class; of the track of each class ("classes");
    # or "both". The track of a class is scaled to its minimum and maximum in the video
    "tracks": "attention",
    "thresholds": (0.1, 0.9, 10),  # on the tracks: first, last, number
    "upsampling": 1,  # values per snippet to which tracks are interpolated before they are thresholded
    "lone_first": False,  # whether snippet 0 is a proposal at a threshold that it alone exceeds
    # the track of a class, whose mean scores a proposal: "activations", CAS times attention; or "probabilities", class
    # probabilities times attention
    "score": "activations",
    "score_power": 1.0,  # of the probabilities times attention
    # ends of the inner-outer contrast's bands: whole "snippets", or "real" numbers
    "bounds": "snippets",
    "outer_ratio": 0.25,  # width of each outer band, as a share of the proposal's length
    "outer_weight": 1.0,  # of the outer mean, which is subtracted from the inner one
    # what the class score of the video does to the score of a proposal: "added" with a weight, "multiplied" with the
    # weight as its power, or nothing beyond the class threshold ("gate")
    "video_score": "added",
    "video_score_weight": 0.2,
    "density_power": 0.0,  # multiplies scores by (sum over the class's proposals of tIoU * score)^power
    "nms": "soft",  # Gaussian "soft" NMS, "hard" NMS or "none", within a video and class
    "nms_sigma": 0.3,  # of soft NMS
    "nms_limit": 0.5,  # of hard NMS: largest tIoU with a better proposal
    "nms_pixels": True,  # whether NMS takes lengths as end - start + 1, as of pixels
}

RULES = {
    "class_threshold": rules.NUMBER,
    "tracks": rules.one_of("attention", "classes", "both"),
    "thresholds": rules.THRESHOLDS,
    "upsampling": rules.COUNT,
    "lone_first": rules.BOOLEAN,
    "score": rules.one_of("activations", "probabilities"),
    "score_power": rules.POSITIVE,
    "bounds": rules.one_of("snippets", "real"),
    "outer_ratio": rules.NOT_NEGATIVE,
    "outer_weight": rules.NUMBER,
    "video_score": rules.one_of("added", "multiplied", "gate"),
    "video_score_weight": rules.NUMBER,
    "density_power": rules.NOT_NEGATIVE,
    "nms": rules.one_of("soft", "hard", "none"),
    "nms_sigma": rules.POSITIVE,
    "nms_limit": rules.SHARE,
    "nms_pixels": rules.BOOLEAN,
}


def localize(outputs: Sequence[OfVideo], class_scores: np.ndarray, settings, *, probabilities: bool) -> Segments:
    """The proposals of V videos after NMS: by rising video, then rising class, then in the order of NMS.

    The arguments and units are those of `propose`.
    """
    return suppress(propose(outputs, class_scores, settings, probabilities=probabilities), settings)


def propose(
    outputs: Sequence[OfVideo],
    class_scores: np.ndarray,
    settings,
    *,
    probabilities: bool,
    shown: np.ndarray | None = None,
) -> Segments:
    """The proposals of V videos in snippets, before NMS; `video` is an index into `outputs`.

    Args:
      outputs: per video, without padding, "cas" [T, C + 1], background last, and "attention" [T].
      class_scores: [V, C], scores of whole videos from 0 to 1.
      settings: see `RULES`.
      probabilities: whether "cas" holds probabilities, else logits (`Method.probabilities`).
      shown: bool [V, C], the classes of each video where they are known; they replace the class threshold.
    """
    parts = []
    for video, output in enumerate(outputs):
        admitted = (
            admitted_classes(class_scores[video], settings.class_threshold, at_least_one=True)
            if shown is None
            else np.flatnonzero(shown[video])
        )
        parts.append(candidates(video, output, class_scores[video], admitted, settings, probabilities=probabilities))
    return by_density(concatenate(parts), settings.density_power)


def candidates(
    video: int, output: OfVideo, class_scores: np.ndarray, admitted: np.ndarray, settings, *, probabilities: bool
) -> Segments:
    """The proposals of one video in snippets, before density and NMS: by class, then by track, threshold and time.

    `admitted` are the classes to propose, int, rising; the other arguments are those of `localize`.
    """
    if not len(admitted):
        return concatenate([])
    attention, number = output["attention"], settings.upsampling
    tracks = scored_tracks(output["cas"], attention, admitted, settings, probabilities)
    fine, parts = upsampled(tracks, number), []
    of_attention = attention_runs(upsampled(attention[:, None], number)[:, 0], settings)
    for column, label in enumerate(admitted):
        runs = [of_attention] if settings.tracks != "classes" else []
        if settings.tracks != "attention":
            runs.append(class_runs(fine[:, column], settings))
        start, end = map(np.concatenate, zip(*runs, strict=True))
        score = run_scores(fine[:, column], start, end, class_scores[label], settings)
        parts.append(make_segments(video, label, start, end, score))
    return concatenate(parts).scaled(1 / number)


def scored_tracks(
    cas: np.ndarray, attention: np.ndarray, admitted: np.ndarray, settings, probabilities: bool
) -> np.ndarray:
    """The track [T, classes] of each admitted class by which its proposals are scored.

    "activations" are the CAS times the attention; "probabilities" are the class probabilities times the attention, to
    the power `score_power`.
    """
    if settings.score == "activations":
        return (cas * attention[:, None])[:, admitted]
    share = cas.astype(np.float64) if probabilities else scipy.special.softmax(cas.astype(np.float64), axis=1)
    return np.maximum(share[:, admitted] * attention[:, None], 0) ** settings.score_power


def attention_runs(attention: np.ndarray, settings) -> tuple[np.ndarray, np.ndarray]:
    """The runs of the (up-sampled) attention: starts and ends [runs]."""
    thresholds = np.linspace(*settings.thresholds)
    if not settings.lone_first:
        # In TSC-Net's published code, a threshold that only snippet 0 exceeds yields no run.
        thresholds = thresholds[thresholds < attention[1:].max(initial=-np.inf)]
    return runs_above(attention, thresholds)


def class_runs(track: np.ndarray, settings) -> tuple[np.ndarray, np.ndarray]:
    """The runs of the (up-sampled) track of a class, scaled to its minimum and maximum in the video."""
    low, high = track.min(), track.max()
    return runs_above((track - low) / max(high - low, np.finfo(float).tiny), np.linspace(*settings.thresholds))


def run_scores(track: np.ndarray, start: np.ndarray, end: np.ndarray, class_score: float, settings) -> np.ndarray:
    """The scores [runs] of the runs of one class, whose up-sampled track is [T]."""
    if settings.bounds == "snippets":
        (score,) = inner_outer_contrast(
            track[:, None], start, end, settings.outer_ratio, outer_weight=settings.outer_weight
        )
    else:
        score = contrast_between(track, start, end, settings.outer_ratio, settings.outer_weight)
    if settings.video_score == "multiplied":
        return score * class_score**settings.video_score_weight
    return score + settings.video_score_weight * class_score if settings.video_score == "added" else score


def suppress(segments: Segments, settings) -> Segments:
    """NMS within each video and class; "none" keeps everything as it is."""
    if settings.nms == "soft":
        return soft_nms(segments, settings.nms_sigma, pixels=settings.nms_pixels)
    if settings.nms == "hard":
        return hard_nms(segments, settings.nms_limit, pixels=settings.nms_pixels)
    return segments


def check(section: str, settings) -> None:
    """Raises InputError for an invalid value in `config.SECTION`, a section of steps."""
    rules.check(section, settings, RULES)
