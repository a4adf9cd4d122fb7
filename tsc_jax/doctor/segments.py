"""Checks the segments: finds ground truth that no prediction can match."""

from collections.abc import Iterator

from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.features import Measured, Measures
from tsc_jax.doctor.findings import Example

SAME = 0.9  # tIoU at and above which two segments of a class count as one


def check_segments(source: Source, measures: Measures) -> Iterator[Example]:
    """Finds segments outside their video, of no length or repeated, and test videos without segments."""
    rate = source.snippets_per_second
    for split in SPLITS:
        for video, features in measures[split]:
            length = video_length(video, features, rate)
            # The end of a segment may be rounded up to the end of the last snippet.
            late = [] if length is None else [e for _, e in video.segments if e > length + (1 / rate if rate else 0)]
            if late:
                share = f"{len(late)} of {len(video.segments)} segments"
                sentence = f"{video.name}: {share}, the last ends at {max(late):.1f} s of {length:.1f} s"
                yield ("past_end" if split == "test" else "past_end_train"), sentence
            yield from _at("negative_times", video, [start for start, _ in video.segments if start < 0])
            yield from _at("no_length", video, [start for start, end in video.segments if start == end])
            yield from _at("same_segment", video, _repeated(video))
    empty = [video.name for video in source.splits["test"] if not video.segments]
    if empty and len(empty) == len(source.splits["test"]):
        yield "no_ground_truth", "test"
    else:
        yield from (("no_segments", name) for name in empty)


def video_length(video: SourceVideo, features: Measured | None, rate: float | None) -> float | None:
    """Returns the length in seconds; None if unknown."""
    if video.duration is not None or features is None or not rate:
        return video.duration
    return features.num_snippets / rate


def _at(check: str, video: SourceVideo, starts: list[float]) -> Iterator[Example]:
    if starts:
        yield check, f"{video.name}: from {', '.join(f'{start:g}' for start in starts[:3])} s"


def _repeated(video: SourceVideo) -> list[float]:
    """Returns the starts of segments that equal an earlier segment of their class."""
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
