"""What every data set must fulfil before it is prepared, whichever reader it comes from."""

from collections import Counter

import numpy as np

from tsc_jax.data.annotations import refuse_repeated
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError


def check_source(source: Source) -> None:
    """Checks everything that is known without reading features.

    Raises:
      InputError: no class or a repeated one, an unknown rate, a split without videos, a video that
        occurs twice, a label outside the class list, a segment without a label, a class that
        a single training video has (or none that two have), from which no pair can be drawn.
    """
    if not source.classes:
        raise InputError("the data set has no classes: no class list, and no label in its annotations")
    refuse_repeated(source.classes, "class", "the class list")
    rate = source.snippets_per_second
    if rate is None:
        raise InputError("no file says how many snippets make a second: give --snippets_per_second")
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
    _check_pairs(source.splits["train"])


def _check_video(video: SourceVideo, classes: tuple[str, ...]) -> None:
    if not video.name:
        raise InputError(f"{video.origin}: a video without a name")
    if len(video.segments) != len(video.segment_labels):
        raise InputError(
            f'video "{video.name}": {len(video.segments)} segments but {len(video.segment_labels)} labels of segments'
        )
    for label in (*video.labels, *video.segment_labels):
        if label not in classes:
            raise InputError(f'video "{video.name}": label "{label}" is not among the {len(classes)} classes')


def _check_pairs(videos: tuple[SourceVideo, ...]) -> None:
    counts = Counter(label for video in videos for label in set(video.labels))
    for label, number in sorted(counts.items()):
        if number == 1:
            raise InputError(
                f'class "{label}" has a single training video, but training draws pairs of videos of a class:'
                " expected two or more"
            )
    if not counts:
        raise InputError("no training video has a label, expected two or more videos of a class")
