"""A data set before it is prepared: what the reader of each layout returns."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class SourceVideo:
    """The annotations of one untrimmed video, and how to read its features.

    Attributes:
      name: unique in its data set.
      duration: in seconds; None if unknown, then launch.prepare takes the number of snippets divided by their rate.
      labels: video-level labels, each class once.
      segments: (start, end) of every action instance, in seconds.
      segment_labels: class of each segment.
      read_features: returns the snippet features, float32 [T, D]; None if there are none.
      origin: file of the features, for messages.
      subset: its subset in the annotation file ("validation", "training", "train", ...).
    """

    name: str
    duration: float | None
    labels: tuple[str, ...]
    segments: tuple[tuple[float, float], ...]
    segment_labels: tuple[str, ...]
    read_features: Callable[[], np.ndarray] | None = None
    origin: str = ""
    subset: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """A whole data set.

    Attributes:
      classes: the C action classes, in the order of their indices.
      snippets_per_second: rate of the snippet features; None if the files do not give it.
      splits: the videos of "train" and "test".
    """

    classes: tuple[str, ...]
    snippets_per_second: float | None
    splits: Mapping[str, tuple[SourceVideo, ...]]
