"""What every data set must fulfil before it is prepared, and when a rate fits the lengths of its videos."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tsc_jax.data.annotations import refuse_repeated
from tsc_jax.data.names import Nearest, loose
from tsc_jax.data.source import DURATION, SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, stop

MAX_NAME_BYTES = 251  # a file name has at most 255 bytes, and the figure of a video is called NAME.png
# What messages name where a source has no file.
NO_FILES = {"classes": "the class list", "rate": "the data set", **{split: f"{split} subset" for split in SPLITS}}
SLACK_SNIPPETS, SLACK_SHARE = 2, 0.05  # T may differ from duration times rate by the larger of the two


def check_source(source: Source, refuse: Refuse = stop) -> None:
    """Checks everything that is known before features are read: classes, rate, subsets, names and labels.

    `refuse` receives every error; by default it raises the first one.
    """
    train, where = source.splits["train"], NO_FILES | source.origins
    if not source.classes:
        refuse(InputError(f"{where['classes']}: no classes, expected a class list or labels of segments", "no_classes"))
    elif train and not any(video.labels for video in train):
        refuse(InputError(f"{where['train']}: no training video has a label, expected at least one", "no_classes"))
    refuse_repeated(source.classes, "class", where["classes"], refuse)
    for one, other in _nearly_equal(source.classes):
        sentence = f'{where["classes"]}: the classes "{one}" and "{other}" differ only in capital letters or blanks'
        refuse(InputError(f"{sentence}, expected one spelling", "near_labels"))
    _check_rate(source, where["rate"], refuse)
    for split, videos in source.splits.items():
        origin = where[split]
        if not videos:
            refuse(InputError(f"{origin}: holds no {split} videos, expected at least one", "empty_split"))
        refuse_repeated((video.name for video in videos), "video", origin, refuse)
        for video in videos:
            _check_name(video.name, origin, refuse)
            _check_labels(video, source.classes, where["classes"], refuse)
    names, tested = ({video.name for video in source.splits[split]} for split in SPLITS)
    for name in sorted(names & tested):
        sentence = f'{where["test"]}: video "{name}" is also in {where["train"]}, expected in one subset only'
        refuse(InputError(sentence, "same_name"))


def _check_name(name: str, origin: str, refuse: Refuse) -> None:
    if not name:
        refuse(InputError(f"{origin}: a video has an empty name, expected at least one character", "long_names"))
    if name_bytes(name) > MAX_NAME_BYTES:
        refuse(InputError(f"{origin}: {long_name(name)}", "long_names"))


def _check_rate(source: Source, origin: str, refuse: Refuse) -> None:
    rate, videos = source.snippets_per_second, [video for split in SPLITS for video in source.splits[split]]
    if rate == DURATION:
        for video in (video for video in videos if video.duration is None):
            sentence = f'video "{video.name}": has no duration, from which {origin} wants its rate'
            refuse(InputError(sentence, "no_rate"))
    elif rate is None:
        if any(video.snippets_per_second is None for video in videos) or not videos:
            sentence = "no file gives the number of snippets per second: give --snippets_per_second, or --feat_stride"
            refuse(InputError(f"{sentence} where the frames per second of the videos are known", "no_rate"))
    elif not (isinstance(rate, int | float) and 0 < rate < np.inf):
        refuse(InputError(f"{origin}: snippets_per_second is {rate!r}, expected a positive number", "no_rate"))


def _check_labels(video: SourceVideo, classes: tuple[str, ...], origin: str, refuse: Refuse) -> None:
    unknown = sorted({*video.labels, *video.segment_labels} - set(classes))
    if unknown and classes:
        labels, nearest = ", ".join(f'"{label}"' for label in unknown), Nearest(classes)
        sentence = f'video "{video.name}": label {labels} is not among the {len(classes)} classes of {origin}'
        near = {label: nearest.to(label) for label in unknown}
        if all(near.values()):
            other, difference = near[unknown[0]]
            sentence += f'; "{other}" differs in {difference}'
        refuse(InputError(sentence, "near_labels" if all(near.values()) else "unknown_labels"))


def _nearly_equal(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields names that differ in capital letters, blanks, dashes or underscores alone."""
    earlier = {}
    for name in dict.fromkeys(names):
        if (other := earlier.setdefault(loose(name), name)) != name:
            yield other, name


def name_bytes(name: str) -> int:
    """Returns the length of a video's name in UTF-8; its figure has "_" for "/", which does not change the length."""
    return len(name.encode("utf-8", "surrogatepass"))


def long_name(name: str) -> str:
    """Returns the sentence about a name that is too long."""
    return f'video "{name[:40]}...": its name has {name_bytes(name)} bytes in UTF-8, expected at most {MAX_NAME_BYTES}'


def mostly_past_end(ends: Sequence[tuple[float, float]]) -> bool:
    """Returns whether more than half of the segments, given by their end and the length of their video, end after it.

    A tenth more counts as the same, because durations and annotations are rounded.
    """
    return sum(end > 1.1 * length for end, length in ends) > len(ends) / 2


def rate_fits(num_snippets: int, duration: float, rate: float, offset: float = 0.0) -> bool:
    """Returns whether T is duration (seconds) times rate (snippets per second), within 2 snippets or 5%.

    An `offset` (seconds) before the first snippet shortens the video, and so may one as long behind the last.
    """
    lengths = [max(duration - offset, 0) * rate, max(duration - 2 * offset, 0) * rate]
    return any(abs(num_snippets - length) <= max(SLACK_SNIPPETS, SLACK_SHARE * length) for length in lengths)
