"""A data set as it is found, before it is prepared: what every reader of a layout returns."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class SourceVideo:
    """One untrimmed video of a source.

    Attributes:
      name: unique in its data set.
      duration: length in seconds; None where unknown: then snippets divided by their rate.
      labels: the classes that occur in it, each once: the video-level labels that training sees.
      segments: (start, end) of every action instance, in seconds; may be empty.
      segment_labels: the class of each of those segments.
      read_features: reads the snippet features, float32 [T, D]; called when the video is prepared.
      origin: the file that the features come from, for messages.
    """

    name: str
    duration: float | None
    labels: tuple[str, ...]
    segments: tuple[tuple[float, float], ...]
    segment_labels: tuple[str, ...]
    read_features: Callable[[], np.ndarray]
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """A whole data set.

    Attributes:
      classes: the C action classes, in the order of their indices.
      snippets_per_second: rate of the snippet features (25 / 16 for I3D at 25 frames a second); None
        where the files do not say.
      splits: the videos of "train" and of "test".
    """

    classes: tuple[str, ...]
    snippets_per_second: float | None
    splits: Mapping[str, tuple[SourceVideo, ...]]
