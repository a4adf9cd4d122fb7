"""What every data set must fulfil before it is prepared, and when a rate fits the lengths of its videos."""

import numpy as np

from tsc_jax.data.annotations import refuse_repeated
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, stop

MAX_NAME_BYTES = 251  # a file name has at most 255 bytes, and the figure of a video is called NAME.png
# What messages name where a source has no file.
NO_FILES = {"classes": "the class list", "rate": "the data set", **{split: f"{split} subset" for split in SPLITS}}
SLACK_SNIPPETS, SLACK_SHARE = 2, 0.05  # T may differ from duration times rate by the larger of the two


def check_source(source: Source, refuse: Refuse = stop) -> None:
    """Checks everything that is known before features are read: classes, rate, subsets, names and labels.

    `refuse` receives every error; by default it raises the first one.
    """
    rate, train, where = source.snippets_per_second, source.splits["train"], NO_FILES | source.origins
    if not source.classes:
        refuse(InputError(f"{where['classes']}: no classes, expected a class list or labels of segments", "no_classes"))
    elif train and not any(video.labels for video in train):
        refuse(InputError(f"{where['train']}: no training video has a label, expected at least one", "no_classes"))
    refuse_repeated(source.classes, "class", where["classes"], refuse)
    if rate is None:
        refuse(InputError("no file gives the number of snippets per second: give --snippets_per_second", "no_rate"))
    elif not (isinstance(rate, int | float) and 0 < rate < np.inf):
        refuse(InputError(f"{where['rate']}: snippets_per_second is {rate!r}, expected a positive number", "no_rate"))
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


def _check_labels(video: SourceVideo, classes: tuple[str, ...], origin: str, refuse: Refuse) -> None:
    unknown = sorted({*video.labels, *video.segment_labels} - set(classes))
    if unknown and classes:
        labels = ", ".join(f'"{label}"' for label in unknown)
        sentence = f'video "{video.name}": label {labels} is not among the {len(classes)} classes of {origin}'
        refuse(InputError(sentence, "unknown_labels"))


def name_bytes(name: str) -> int:
    """Returns the length of a video's name in UTF-8; its figure has "_" for "/", which does not change the length."""
    return len(name.encode("utf-8", "surrogatepass"))


def long_name(name: str) -> str:
    """Returns the sentence about a name that is too long."""
    return f'video "{name[:40]}...": its name has {name_bytes(name)} bytes in UTF-8, expected at most {MAX_NAME_BYTES}'


def rate_fits(num_snippets: int, duration: float, rate: float) -> bool:
    """Returns whether T is duration (seconds) times rate (snippets per second), within 2 snippets or 5%."""
    expected = duration * rate
    return abs(num_snippets - expected) <= max(SLACK_SNIPPETS, SLACK_SHARE * expected)
