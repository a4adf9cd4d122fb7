"""Checks names, video-level labels and classes."""

from collections import Counter
from collections.abc import Iterator

from tsc_jax.data.checks import MAX_NAME_BYTES, long_name, name_bytes
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.doctor.findings import Example


def check_names(source: Source) -> Iterator[Example]:
    """Finds subsets without videos, videos in both subsets, and names that are too long."""
    names = {split: dict.fromkeys(video.name for video in source.splits[split]) for split in SPLITS}
    yield from (("empty_split", split) for split in SPLITS if not names[split])
    yield from (("same_name", name) for name in names["test"] if name in names["train"])
    for name in {**names["train"], **names["test"]}:
        if name_bytes(name) > MAX_NAME_BYTES:
            yield "long_names", long_name(name)


def check_repeated(source: Source) -> Iterator[Example]:
    """Finds videos that a subset lists more than once."""
    for split in SPLITS:
        for name, times in Counter(video.name for video in source.splits[split]).items():
            if times > 1:
                yield "repeated_names", f"{name}: {times} times in {split}"


def check_labels(source: Source) -> Iterator[Example]:
    """Finds unknown labels, training videos without a label, and labels that differ from those of the segments."""
    for split in SPLITS:
        for video in source.splits[split]:
            unknown = sorted({*video.labels, *video.segment_labels} - set(source.classes))
            if unknown and source.classes:
                yield "unknown_labels", f"{video.name}: {', '.join(unknown)}"
            # A training video may have labels without segments.
            if video.segments and set(video.labels) != set(video.segment_labels):
                labels, of_segments = _listed(video.labels), _listed(video.segment_labels)
                yield "label_disagreement", f"{video.name}: {labels}, but segments of {of_segments}"
            if split == "train" and not video.labels:
                yield "unlabelled", video.name


def check_classes(source: Source) -> Iterator[Example]:
    """Finds classes with too few videos; checks nothing if a subset has no videos."""
    if not all(source.splits[split] for split in SPLITS):
        return
    train = Counter(label for video in source.splits["train"] for label in set(video.labels))
    test = Counter(label for video in source.splits["test"] for label in {*video.labels, *video.segment_labels})
    classes = source.classes or tuple(sorted({*train, *test}))
    if not classes:
        yield "no_classes", "no class list, and no label in the annotations"
    for name in classes:
        if train[name] == 1:
            yield "few_videos", name
        if not train[name]:
            yield ("untrained_classes" if test[name] else "unused_classes"), name
        elif not test[name]:
            yield "untested_classes", name


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(sorted(set(labels))) or "no label"
