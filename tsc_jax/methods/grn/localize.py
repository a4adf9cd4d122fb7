"""GRN's proposals from the refined scores of one stream or two, as published.

A proposal is a run of snippets whose refined score is above one of several thresholds; a run of RGB and one of flow
that overlap enough become one. Its score is the mean of the fused refined scores inside.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tsc_jax import settings as rules
from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import hard_nms, tiou
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import Segments, concatenate, make_segments

RULES = {
    "class_threshold": rules.NUMBER,
    "thresholds": rules.THRESHOLDS,
    "threshold_scale": rules.one_of("absolute", "range"),
    # From 1/2 on, no run can overlap two runs of the other stream enough.
    "merge_limit": rules.Rule(lambda value: rules.is_number(value) and 0.5 <= value <= 1, "a number from 0.5 to 1"),
    "rgb_weight": rules.SHARE,
    "nms_limit": rules.SHARE,
}

Runs = tuple[np.ndarray, np.ndarray]  # starts and ends [runs] in snippets, ends exclusive


def fuse(maps: Mapping[str, np.ndarray], rgb_weight: float):
    """The weighted mean of the arrays of both streams, or the array of the only one."""
    if len(maps) == 1:
        return next(iter(maps.values()))
    return rgb_weight * maps["rgb"] + (1 - rgb_weight) * maps["flow"]


def localize(outputs: Sequence[Mapping[str, np.ndarray]], streams: Sequence[str], settings) -> Segments:
    """Localizes the actions of V videos; no video influences another.

    Args:
      outputs: per video, without padding, for each stream the refined scores "NAME" [T, C] and the video scores
        "NAME_video" [C].
      streams: "rgb" and "flow", or a single one.
      settings: `config.proposals`; configs/grn_thumos14.py explains each value.

    Returns:
      The proposals in snippets, by rising video, then rising class, then falling score.
    """
    parts = []
    for video, output in enumerate(outputs):
        refined = {name: np.asarray(output[name], np.float64) for name in streams}
        parts.append(candidates(video, refined, stream_scores(output, streams), settings))
    return hard_nms(concatenate(parts), settings.nms_limit, pixels=False)


def class_scores(outputs: Sequence[Mapping[str, np.ndarray]], streams: Sequence[str], settings) -> np.ndarray:
    """The class scores float32 [V, C] of V videos, the weighted mean over the streams; arguments as in `localize`."""
    return np.array([fuse(stream_scores(output, streams), settings.rgb_weight) for output in outputs], np.float32)


def stream_scores(output: Mapping[str, np.ndarray], streams: Sequence[str]) -> dict[str, np.ndarray]:
    """The video scores [C] of each stream."""
    return {name: output[f"{name}_video"] for name in streams}


def candidates(video: int, refined: Mapping[str, np.ndarray], of_video: Mapping[str, np.ndarray], settings) -> Segments:
    """The proposals of one video before NMS: by class, by threshold, then RGB's and the merged runs, flow's lone ones.

    Args:
      video: index of the video.
      refined: the refined scores [T, C] of each stream.
      of_video: the video scores [C] of each stream; a stream uses the classes above the class threshold.
      settings: `config.proposals`.
    """
    fused, parts = fuse(refined, settings.rgb_weight), []
    for label in range(fused.shape[1]):
        tracks = [refined[name][:, label] for name in refined if of_video[name][label] > settings.class_threshold]
        if not tracks:
            continue
        for threshold in np.linspace(*settings.thresholds):
            start, end = merge([stream_runs(track, threshold, settings) for track in tracks], settings.merge_limit)
            (score,) = inner_outer_contrast(fused[:, [label]], start, end, 0.0)
            parts.append(make_segments(video, label, start, end, score))
    return concatenate(parts)


def stream_runs(track: np.ndarray, threshold: float, settings) -> Runs:
    """The runs of a track [T] above the threshold, which may be a share of the way from its minimum to its maximum."""
    if settings.threshold_scale == "range":
        threshold = track.min() + threshold * (track.max() - track.min())
    return runs_above(track, np.array([threshold]))


def merge(runs: Sequence[Runs], limit: float) -> Runs:
    """The runs of one stream or two: pairs with a tIoU above `limit` become one, from first start to last end."""
    if len(runs) != 2:
        return runs[0]
    (start, end), (other_start, other_end) = runs
    overlaps = tiou(start[:, None], end[:, None], other_start, other_end) > limit
    one, other = np.nonzero(overlaps)
    start, end, lone = start.copy(), end.copy(), ~overlaps.any(axis=0)
    start[one] = np.minimum(start[one], other_start[other])
    end[one] = np.maximum(end[one], other_end[other])
    return np.concatenate([start, other_start[lone]]), np.concatenate([end, other_end[lone]])
