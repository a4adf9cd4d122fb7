"""Checks of names, video-level labels and classes."""

from collections import Counter
from collections.abc import Iterator

from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.findings import Finding, found


def check_names(source: Source) -> Iterator[Finding]:
    """Each subset has videos, and shares none with the other."""
    names = {split: dict.fromkeys(video.name for video in source.splits[split]) for split in SPLITS}
    yield from found("empty_split", [split for split in SPLITS if not names[split]])
    yield from found("same_name", [name for name in names["test"] if name in names["train"]])


def check_repeated(source: Source) -> Iterator[Finding]:
    """No subset lists a video twice."""
    counts = {split: Counter(video.name for video in source.splits[split]) for split in SPLITS}
    examples = [
        f"{name}: {times} times in {split}" for split in SPLITS for name, times in counts[split].items() if times > 1
    ]
    yield from found("repeated_names", examples)


def check_labels(source: Source) -> Iterator[Finding]:
    """Labels are classes, and those of a video are those of its segments."""
    unknown, disagreeing = [], []
    for video in _videos(source):
        outside = sorted({*video.labels, *video.segment_labels} - set(source.classes))
        if outside and source.classes:
            unknown.append(f"{video.name}: {', '.join(outside)}")
        # A training video may well have labels alone.
        if video.segments and set(video.labels) != set(video.segment_labels):
            disagreeing.append(
                f"{video.name}: {_listed(video.labels)}, but segments of {_listed(video.segment_labels)}"
            )
    yield from found("unknown_labels", unknown)
    yield from found("label_disagreement", disagreeing)
    yield from found("unlabelled", [video.name for video in source.splits["train"] if not video.labels])


def check_classes(source: Source) -> Iterator[Finding]:
    """Classes have videos, in training two or more; nothing is said where a subset has no videos at all."""
    if not all(source.splits[split] for split in SPLITS):
        return
    train = Counter(label for video in source.splits["train"] for label in set(video.labels))
    test = Counter(label for video in source.splits["test"] for label in {*video.labels, *video.segment_labels})
    classes = source.classes or tuple(sorted({*train, *test}))
    if not classes:
        yield from found("no_classes", ["no class list, and no label in the annotations"])
    yield from found("few_videos", [name for name in classes if train[name] == 1])
    yield from found("untrained_classes", [name for name in classes if not train[name] and test[name]])
    yield from found("untested_classes", [name for name in classes if train[name] and not test[name]])
    yield from found("unused_classes", [name for name in classes if not train[name] and not test[name]])


def _videos(source: Source) -> list[SourceVideo]:
    return [video for split in SPLITS for video in source.splits[split]]


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(sorted(set(labels))) or "no label"
