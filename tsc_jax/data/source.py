"""A data set before it is prepared: what the reader of each layout returns."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tsc_jax.errors import InputError, Refuse

SPLITS = ("train", "test")
DURATION = "duration"  # as a rate: T / duration of each video, for features of one length for all videos


@dataclasses.dataclass(frozen=True)
class SourceVideo:
    """The annotations of one untrimmed video, and how to read its features."""

    name: str  # unique in its data set
    duration: float | None  # in seconds; None: unknown, then it is the number of snippets divided by their rate
    labels: tuple[str, ...]  # of the video, each class once
    segments: tuple[tuple[float, float], ...]  # (start, end) of every action instance, in seconds
    segment_labels: tuple[str, ...]
    read_features: Callable[[], np.ndarray] | None = None  # returns float32 [T, D]; None: there are no features
    origin: str = ""  # file of the features, for messages
    subset: str = ""  # in the annotation file: "validation", "training", "train", ...
    fps: float | None = None  # frames per second in the annotation file
    snippets_per_second: float | None = None  # rate of its features; None: that of the data set
    offset: float = 0.0  # when its first snippet starts, in seconds
    faults: tuple[InputError, ...] = ()  # what is wrong with its annotations


@dataclasses.dataclass(frozen=True)
class Source:
    """A whole data set."""

    classes: tuple[str, ...]  # in the order of their indices
    snippets_per_second: float | str | None  # rate of the features; None: the files do not give it; or DURATION
    splits: Mapping[str, tuple[SourceVideo, ...]]  # the videos of "train" and "test"
    unlisted: tuple[SourceVideo, ...] = ()  # annotated videos in neither split
    unused: tuple[str, ...] = ()  # files of features that belong to no video
    # For messages: the files of "classes", "rate" and each split.
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extractor: Any = None  # what meta.json says of the extractor of the features; None: nothing


def sound(videos: Iterable[SourceVideo], refuse: Refuse) -> list[SourceVideo]:
    """Returns the videos; `refuse` receives what is wrong with their annotations."""
    videos = list(videos)
    for video in videos:
        for fault in video.faults:
            refuse(fault)
    return videos


def labels_of(videos: Iterable[SourceVideo]) -> tuple[str, ...]:
    """Returns the video-level labels of the videos, sorted."""
    return tuple(sorted({label for video in videos for label in video.labels}))
