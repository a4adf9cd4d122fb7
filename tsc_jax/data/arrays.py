"""Prepares a data set that is in memory: features as arrays, labels as Python lists."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from tsc_jax.data import builder
from tsc_jax.data.annotations import as_labels, as_segment
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.errors import InputError


def prepare(
    name: str,
    train: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    test: Mapping[str, tuple[np.ndarray, Sequence[tuple[str, float, float]]]],
    snippets_per_second: float,
    classes: Sequence[str] | None = None,
    data_dir: str | os.PathLike = "data",
) -> None:
    """Writes a data set as launch.prepare does; train on it with config.data.name and config.data.data_dir.

    Replaces an earlier data set of this name. The same arrays give the same files.

    Args:
      name: of the data set.
      train: features [T, D] and video-level labels of each training video, by its name.
      test: features [T, D] and segments (class, start, end in seconds) of each test video, by its name. At least
        one video has a segment, because training measures mAP on them.
      snippets_per_second: rate of the features.
      classes: in the order of their indices; None: all labels that occur, sorted.
      data_dir: holds all prepared data sets.

    Raises:
      InputError: invalid arrays or labels.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # TFDS warns about every data set that it does not know
    try:
        builder.prepare(lambda: from_arrays(train, test, snippets_per_second, classes), name, data_dir, overwrite=True)
    finally:
        logging.set_verbosity(verbosity)


def from_arrays(
    train: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    test: Mapping[str, tuple[np.ndarray, Sequence[tuple[str, float, float]]]],
    snippets_per_second: float,
    classes: Sequence[str] | None = None,
) -> Source:
    """Makes a `Source` of arrays; the arguments are those of `prepare`."""
    splits = {
        "train": tuple(_video(name, *_pair(name, video)) for name, video in train.items()),
        "test": tuple(_test_video(name, *_pair(name, video)) for name, video in test.items()),
    }
    if splits["test"] and not any(video.segments for video in splits["test"]):
        raise InputError("no test video has a segment, expected at least one: training measures mAP on them")
    if classes is None:
        classes = sorted({label for videos in splits.values() for video in videos for label in video.labels})
    return Source(as_labels(classes, "the classes"), snippets_per_second, splits)


def _pair(name: str, video: Any) -> tuple[np.ndarray, Sequence]:
    if isinstance(video, tuple | list) and len(video) == 2 and isinstance(video[1], tuple | list | set):
        return tuple(video)
    raise InputError(f'video "{name}": expected its features, then a list of labels or segments')


def _test_video(name: str, features: np.ndarray, segments: Sequence[tuple[str, float, float]]) -> SourceVideo:
    for segment in segments:
        if not (isinstance(segment, tuple | list) and len(segment) == 3):
            raise InputError(f'video "{name}": segment {segment!r} is not a class, a start and an end')
    times = tuple(as_segment(segment[1:], f'video "{name}"') for segment in segments)
    return _video(name, features, [label for label, *_ in segments], times)


def _video(
    name: str, features: np.ndarray, labels: Sequence[str], segments: tuple[tuple[float, float], ...] = ()
) -> SourceVideo:
    labels = as_labels(labels, f'video "{name}"')
    each_once = tuple(dict.fromkeys(labels))
    return SourceVideo(name, None, each_once, segments, labels if segments else (), lambda: features)
