"""ACN's proposals: intervals that the evidence of a class holds together, NMS, and the fusion of two streams."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tsc_jax.localization.nms import hard_nms, tiou
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.video_scores import top_mean
from tsc_jax.method import Method, without_prefix
from tsc_jax.methods.acn.confidence import confidence, outer_inner_contrast
from tsc_jax.methods.acn.intervals import Intervals, alive, make_intervals
from tsc_jax.nn.modalities import modalities

OfVideo = Mapping[str, np.ndarray]


def localize(outputs: Sequence[OfVideo], base: Method, config) -> Segments:
    """Localizes the actions of V videos; no video influences another.

    Args:
      outputs: per video, without padding, those of `method.make`.
      base: the method of the base.
      config: the recipe.

    Returns:
      The proposals, in snippets: by rising video, then rising class, then in the order in which NMS takes them, of two
      streams flow's before RGB's.
    """
    if config.selection.test_classes == "gate":
        found = base.localize([without_prefix(output, "base") for output in outputs])
        classes = [np.unique(found.label[found.video == video]) for video in range(len(outputs))]
    else:
        scp = [output["cas"][:, :-1] for output in outputs]
        scores = selection_scores(scp, class_scores(outputs, base), config.selection)
        classes = [np.flatnonzero(row > config.selection.class_threshold) for row in scores]
    parts = [propose(outputs, stream, classes, config) for stream in modalities(config.model)]
    return fuse(*parts[::-1], config.proposals) if len(parts) == 2 else parts[0]


def class_scores(outputs: Sequence[OfVideo], base: Method) -> np.ndarray:
    """The class scores [V, C] of V videos, which are those of the base; arguments as in `localize`."""
    return base.class_scores([without_prefix(output, "base") for output in outputs])


def selection_scores(scp: Sequence[np.ndarray], base_scores: np.ndarray, settings) -> np.ndarray:
    """The scores [V, C] that choose classes: the base's, or means of the largest evidence [T, C] per video."""
    if settings.scores == "base":
        return base_scores
    return np.stack([top_mean(each, max(1, len(each) // settings.topk_ratio)) for each in scp])


def propose(outputs: Sequence[OfVideo], stream: str, classes: Sequence[np.ndarray], config) -> Segments:
    """The proposals of one stream; `classes` are those of each video, rising."""
    parts = [
        candidates(video, stream_of(output, stream), own, config)
        for video, (output, own) in enumerate(zip(outputs, classes, strict=True))
    ]
    return hard_nms(concatenate(parts), config.proposals.nms_limit, pixels=False)


def stream_of(output: OfVideo, stream: str) -> OfVideo:
    """What `candidates` reads of the outputs of a video."""
    own = {name: output[f"{stream}/{name}"] for name in ("regressed", "coherence", "theta")}
    return own | {"scp": output["cas"][:, :-1], "attention": output["attention"]}


def candidates(video: int, output: OfVideo, classes: np.ndarray, config) -> Segments:
    """The intervals of a stream before NMS: by class, then by anchor, then by time.

    Args:
      video: index of the video.
      output: "regressed" [T, A, 2] and "coherence" [T, A] of the stream, "scp" [T, C] and "attention" [T] of the base,
        and "theta" []: where the attention is less, there is no evidence.
      classes: int, the classes that the video shows, rising.
      config: the recipe.
    """
    attended = output["attention"] >= output["theta"]
    scp = np.where(attended[:, None], output["scp"], 0).astype(np.float64)[:, classes]
    regressed = output["regressed"].astype(np.float64)[None]
    intervals = make_intervals(regressed, np.array([len(scp)]), config.intervals)
    label, anchor, snippet = np.nonzero(alive(intervals, scp[None], config)[0])
    chosen = Intervals(*(array[0, anchor, snippet] for array in intervals))
    outer, inner = outer_inner_contrast(make_integral(scp, label), chosen, config.intervals)
    score = confidence(outer, inner, output["coherence"].astype(np.float64)[snippet, anchor], config.confidence)
    overhang = config.intervals.reading == "inclusive"
    return make_segments(video, classes[label], chosen.start, chosen.end + overhang, score[:, 0])


def make_integral(tracks: np.ndarray, column: np.ndarray) -> Callable:
    """(start, end), [N] each -> [N, 1], the integral of each interval's own column [N] of the tracks [T, K].

    A track equals its value of snippet t from t to t + 1.
    """
    before = np.cumsum(np.pad(tracks, ((1, 0), (0, 0))), axis=0, dtype=np.float64)

    def up_to(time: np.ndarray) -> np.ndarray:
        snippet = np.minimum(np.floor(time).astype(int), len(tracks) - 1)
        return before[snippet, column] + (time - snippet) * tracks[snippet, column]

    return lambda start, end: (up_to(end) - up_to(start))[:, None]


def fuse(flow: Segments, rgb: Segments, settings) -> Segments:
    """All proposals of flow, and with a weaker score those of RGB that overlap none of the same class in flow much.

    Both are sorted by video, then label. In the result flow's come first within each video and class.
    """
    rgb = dataclasses.replace(rgb, score=rgb.score * settings.rgb_weight)
    labels = 1 + max(flow.label.max(initial=0), rgb.label.max(initial=0))
    groups, own = flow.video * labels + flow.label, rgb.video * labels + rgb.label
    firsts, lasts = (np.searchsorted(groups, own, side) for side in ("left", "right"))
    stays = np.ones(len(rgb), bool)
    for row, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        overlaps = tiou(rgb.start[row], rgb.end[row], flow.start[first:last], flow.end[first:last])
        stays[row] = overlaps.max(initial=0) < settings.fusion_limit
    both = concatenate([flow, rgb[stays]])
    return both[np.lexsort([both.label, both.video])]
