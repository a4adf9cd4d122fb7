"""What every data set must fulfil before it is prepared, and when a rate fits the lengths of its videos."""

import numpy as np

from tsc_jax.data.annotations import refuse_repeated
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError

MAX_NAME_BYTES = 251  # a file name has at most 255 bytes, and the figure of a video is called NAME.png
SLACK_SNIPPETS, SLACK_SHARE = 2, 0.05  # T may differ from duration times rate by the larger of the two


def check_source(source: Source) -> None:
    """Checks everything that is known before features are read.

    Raises:
      InputError: no class or a repeated one; no valid rate; a split without videos; a repeated video or one in both
        splits; a name that is empty or too long; an unknown label; a segment without a label; no training label.
    """
    if not source.classes:
        raise InputError("the data set has no classes: there is no class list, and no label in its annotations")
    refuse_repeated(source.classes, "class", "the class list")
    rate = source.snippets_per_second
    if rate is None:
        raise InputError("no file says how many snippets there are per second: give --snippets_per_second")
    if not 0 < rate < np.inf:
        raise InputError(f"--snippets_per_second is {rate}, expected a positive number")
    for split in SPLITS:
        if not source.splits[split]:
            raise InputError(f"the {split} subset has no videos, expected at least one")
        refuse_repeated((video.name for video in source.splits[split]), "video", f"{split} subset")
        for video in source.splits[split]:
            _check_video(video, source.classes)
    train, test = ({video.name for video in source.splits[split]} for split in SPLITS)
    if train & test:
        raise InputError(f'video "{min(train & test)}" is in both the train and the test subset')
    if not any(video.labels for video in source.splits["train"]):
        raise InputError("no training video has a label, expected at least one")


def _check_video(video: SourceVideo, classes: tuple[str, ...]) -> None:
    if not video.name:
        raise InputError(f"{video.origin}: a video has an empty name")
    if name_bytes(video.name) > MAX_NAME_BYTES:
        raise InputError(long_name(video.name))
    if len(video.segments) != len(video.segment_labels):
        raise InputError(
            f'video "{video.name}": {len(video.segments)} segments but {len(video.segment_labels)} segment labels'
        )
    for label in (*video.labels, *video.segment_labels):
        if label not in classes:
            raise InputError(f'video "{video.name}": label "{label}" is not among the {len(classes)} classes')


def name_bytes(name: str) -> int:
    """Length in UTF-8 of a video's name; its figure has "_" for "/", which does not change the length."""
    return len(name.encode("utf-8", "surrogatepass"))


def long_name(name: str) -> str:
    """The sentence about a name that is too long."""
    return f'video "{name[:40]}...": its name has {name_bytes(name)} bytes in UTF-8, expected at most {MAX_NAME_BYTES}'


def rate_fits(num_snippets: int, duration: float, rate: float) -> bool:
    """Whether T is duration (seconds) times rate (snippets per second), within 2 snippets or 5%."""
    expected = duration * rate
    return abs(num_snippets - expected) <= max(SLACK_SNIPPETS, SLACK_SHARE * expected)
