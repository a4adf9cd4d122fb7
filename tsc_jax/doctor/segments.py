"""Checks of the segments: ground truth that no prediction could ever meet."""

from collections.abc import Iterator

from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.features import Measured, Measures
from tsc_jax.doctor.findings import Finding, found

SAME = 0.9  # tIoU from which two segments of a class are one


def check_segments(source: Source, measures: Measures) -> Iterator[Finding]:
    """Segments lie in their video, have a length and stand there once."""
    examples = {"negative_times": [], "no_length": [], "same_segment": []}
    for split in SPLITS:
        past = []
        for video, features in zip(source.splits[split], measures[split], strict=True):
            past += _past_end(video, video_length(video, features, source.snippets_per_second), source)
            examples["negative_times"] += _example(video, [start for start, _ in video.segments if start < 0])
            examples["no_length"] += _example(video, [start for start, end in video.segments if start == end])
            examples["same_segment"] += _example(video, _twice(video))
        yield from found("past_end" if split == "test" else "past_end_train", past)
    for check, each in examples.items():
        yield from found(check, each)
    empty = [video.name for video in source.splits["test"] if not video.segments]
    if empty and len(empty) == len(source.splits["test"]):
        yield from found("no_ground_truth", ["test"])
    else:
        yield from found("no_segments", empty)


def video_length(video: SourceVideo, features: Measured | None, rate: float | None) -> float | None:
    """In seconds; None where nothing tells it."""
    if video.duration is not None or features is None or not rate:
        return video.duration
    return features.num_snippets / rate


def _past_end(video: SourceVideo, length: float | None, source: Source) -> list[str]:
    """Ends in the last snippet's shadow are rounding; later ones are none."""
    if length is None:
        return []
    tolerance = 1 / source.snippets_per_second if source.snippets_per_second else 0
    ends = [end for _, end in video.segments if end > length + tolerance]
    if not ends:
        return []
    share = f"{len(ends)} of {len(video.segments)} segments"
    return [f"{video.name}: {share}, the last ends at {max(ends):.1f} s of {length:.1f} s"]


def _example(video: SourceVideo, starts: list[float]) -> list[str]:
    return [f"{video.name}: from {', '.join(f'{start:g}' for start in starts[:3])} s"] if starts else []


def _twice(video: SourceVideo) -> list[float]:
    """Where segments begin that an earlier one of their class is the same as."""
    segments = list(zip(video.segments, video.segment_labels, strict=True))
    return [
        segment[0]
        for place, (segment, label) in enumerate(segments)
        if any(label == other and _is_same(segment, earlier) for earlier, other in segments[:place])
    ]


def _is_same(left: tuple[float, float], right: tuple[float, float]) -> bool:
    intersection = min(left[1], right[1]) - max(left[0], right[0])
    union = max(left[1], right[1]) - min(left[0], right[0])
    return left == right or (union > 0 and intersection / union >= SAME)
