"""Prepares a data set that is in memory: features as arrays, labels as Python lists."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from tsc_jax import settings as rules
from tsc_jax.data import builder
from tsc_jax.data.annotations import as_labels, as_video
from tsc_jax.data.source import Source, SourceVideo, labels_of
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
      test: features [T, D] and segments (class, start, end in seconds) of each test video, by its name. Without
        any segment there are predictions for them, but no mAP.
      snippets_per_second: rate of the features.
      classes: in the order of their indices; None: all labels that occur, sorted.
      data_dir: holds all prepared data sets.

    Raises:
      InputError: invalid arrays or labels.
    """
    if not rules.POSITIVE.holds(snippets_per_second):
        raise InputError(f"snippets_per_second is {snippets_per_second!r}, expected {rules.POSITIVE.expected}")
    trained, tested = (
        tuple(_video(each, given, is_test) for each, given in videos.items())
        for videos, is_test in ((train, False), (test, True))
    )
    classes = labels_of((*trained, *tested)) if classes is None else as_labels(classes, "the classes")
    source = Source(classes, snippets_per_second, {"train": trained, "test": tested})
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # TFDS warns about every data set that it does not know
    try:
        builder.prepare(lambda: source, name, data_dir, overwrite=True)
    finally:
        logging.set_verbosity(verbosity)


def _video(name: str, given: Any, is_test: bool) -> SourceVideo:
    if not isinstance(name, str):
        raise InputError(f"a video has the name {name!r}, expected text")
    where = f'video "{name}"'
    if not (isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[1], tuple | list | set)):
        raise InputError(f"{where}: expected its features, then a list of labels or segments")
    features, annotated = given
    for segment in annotated if is_test else ():
        if not (isinstance(segment, tuple | list) and len(segment) == 3):
            raise InputError(f"{where}: segment {segment!r} is not a class, a start and an end")
    labels, instances = (None, [(each[1:], each[0]) for each in annotated]) if is_test else (annotated, [])
    return dataclasses.replace(as_video(name, instances, where, labels), read_features=lambda: features)
