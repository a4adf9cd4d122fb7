"""A data set before it is prepared: what the reader of each layout returns."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

SPLITS = ("train", "test")


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


@dataclasses.dataclass(frozen=True)
class Source:
    """A whole data set."""

    classes: tuple[str, ...]  # in the order of their indices
    snippets_per_second: float | None  # rate of the features; None: the files do not give it
    splits: Mapping[str, tuple[SourceVideo, ...]]  # the videos of "train" and "test"
    unlisted: tuple[str, ...] = ()  # names of annotated videos in neither split
    # For messages: the files of "classes", "rate" and each split.
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extractor: Any = None  # what meta.json says of the extractor of the features; None: nothing


def labels_of(videos: Iterable[SourceVideo]) -> tuple[str, ...]:
    """Returns the video-level labels of the videos, sorted."""
    return tuple(sorted({label for video in videos for label in video.labels}))
