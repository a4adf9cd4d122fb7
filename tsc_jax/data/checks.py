"""What every data set must fulfil before it is prepared, and when a rate fits the lengths of its videos."""

import numpy as np

from tsc_jax.data.annotations import refuse_repeated
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, stop

MAX_NAME_BYTES = 251  # a file name has at most 255 bytes, and the figure of a video is called NAME.png
SLACK_SNIPPETS, SLACK_SHARE = 2, 0.05  # T may differ from duration times rate by the larger of the two


def check_source(source: Source, refuse: Refuse = stop) -> None:
    """Checks everything that is known before features are read: classes, rate, subsets, names and labels.

    `refuse` receives every error; by default it raises the first one.
    """
    rate, train = source.snippets_per_second, source.splits["train"]
    if not source.classes:
        refuse(InputError("no classes: there is no class list, and no label in the annotations", "no_classes"))
    elif train and not any(video.labels for video in train):
        refuse(InputError("no training video has a label, expected at least one", "no_classes"))
    refuse_repeated(source.classes, "class", "the class list", refuse)
    if rate is None:
        refuse(InputError("no file gives the number of snippets per second: give --snippets_per_second", "no_rate"))
    elif not (isinstance(rate, int | float) and 0 < rate < np.inf):
        refuse(InputError(f"snippets_per_second is {rate!r}, expected a positive number", "no_rate"))
    for split, videos in source.splits.items():
        if not videos:
            refuse(InputError(f"the {split} subset has no videos, expected at least one", "empty_split"))
        refuse_repeated((video.name for video in videos), "video", f"{split} subset", refuse)
        for video in videos:
            _check_video(video, source.classes, refuse)
    names, tested = ({video.name for video in source.splits[split]} for split in SPLITS)
    for name in sorted(names & tested):
        refuse(InputError(f'video "{name}" is in both the train and the test subset', "same_name"))


def _check_video(video: SourceVideo, classes: tuple[str, ...], refuse: Refuse) -> None:
    if not video.name:
        refuse(InputError(f"{video.origin}: a video has an empty name", "long_names"))
    if name_bytes(video.name) > MAX_NAME_BYTES:
        refuse(InputError(long_name(video.name), "long_names"))
    unknown = sorted({*video.labels, *video.segment_labels} - set(classes))
    if unknown and classes:
        labels = ", ".join(f'"{label}"' for label in unknown)
        refuse(
            InputError(
                f'video "{video.name}": label {labels} is not among the {len(classes)} classes', "unknown_labels"
            )
        )


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
