"""Checks video-level labels, classes and segments."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.doctor.features import Row
from tsc_jax.doctor.findings import Example
from tsc_jax.localization.nms import tiou

SAME = 0.9  # tIoU at and above which two segments of a class count as one


def check_labels(rows: list[Row]) -> Iterator[Example]:
    """Finds training videos without a label, and labels that differ from those of the segments."""
    for split, video, *_ in rows:
        # A training video may have labels without segments.
        if video.segments and set(video.labels) != set(video.segment_labels):
            labels, of_segments = (
                ", ".join(sorted(set(each))) or "no label" for each in (video.labels, video.segment_labels)
            )
            yield "label_disagreement", f"{video.name}: {labels}, but segments of {of_segments}"
        if split == "train" and not video.labels:
            yield "unlabelled", video.name


def check_classes(source: Source) -> Iterator[Example]:
    """Finds classes with too few videos; checks nothing if a subset has no videos."""
    if not all(source.splits.values()):
        return
    train = Counter(label for video in source.splits["train"] for label in set(video.labels))
    test = Counter(label for video in source.splits["test"] for label in {*video.labels, *video.segment_labels})
    for name in dict.fromkeys(source.classes):
        if train[name] == 1:
            yield "few_videos", name
        if not train[name]:
            yield ("untrained_classes" if test[name] else "unused_classes"), name
        elif not test[name]:
            yield "untested_classes", name


def check_segments(rows: list[Row], past_end: bool = True) -> Iterator[Example]:
    """Finds segments outside their video, of no length or repeated, and test videos without segments."""
    for row in rows:
        video, length = row.video, row.seconds
        # The end of a segment may be rounded up to the end of the last snippet.
        slack = 1 / row.rate if row.rate else 0
        late = [] if length is None else [end for _, end in video.segments if end > length + slack]
        if late and past_end:
            share = f"{len(late)} of {len(video.segments)} segments"
            sentence = f"{video.name}: {share}, the last ends at {max(late):.1f} s of {length:.1f} s"
            yield ("past_end" if row.split == "test" else "past_end_train"), sentence
        starts = {
            "negative_times": [start for start, _ in video.segments if start < 0],
            "no_length": [start for start, end in video.segments if start == end],
            "same_segment": _repeated(video),
        }
        for check, times in starts.items():
            if times:
                yield check, f"{video.name}: from {', '.join(f'{start:g}' for start in times[:3])} s"
    tested = [row.video for row in rows if row.split == "test"]
    empty = [video.name for video in tested if not video.segments]
    if empty and len(empty) == len(tested):
        yield "no_ground_truth", "test"
    else:
        yield from (("no_segments", name) for name in empty)


def _repeated(video: SourceVideo) -> list[float]:
    """Returns the starts of segments that equal an earlier segment of their class."""
    starts, earlier = [], defaultdict(list)
    for segment, label in zip(video.segments, video.segment_labels, strict=True):
        if any(segment == other or tiou(*segment, *other) >= SAME for other in earlier[label]):
            starts.append(segment[0])
        earlier[label].append(segment)
    return starts
