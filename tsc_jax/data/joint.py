"""Reads the "joint" layout: NAME-I3D-JOINTFeatures.npy with the features of all videos, and NAME-Annotations/."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop

# Names of the training and test subsets: of THUMOS-14 and data sets in its form, and of ActivityNet.
SUBSETS = (("validation", "test"), ("training", "validation"))
FEATURES, ANNOTATIONS = "*-I3D-JOINTFeatures.npy", "*-Annotations"
SNIPPETS_PER_SECOND = 25 / 16  # the layout cannot express another rate; its extracted_fps.npy is wrong


def read_joint(directory: Path, subsets: tuple[str, str] | None = None, modality: str = "both") -> Source:
    """Reads a data set in the joint layout; loads all features at once.

    Args:
      directory: holds one NAME-I3D-JOINTFeatures.npy and one NAME-Annotations/.
      subsets: names of the training and test subsets; None: the pair of SUBSETS that occurs.
      modality: "both", "rgb" or "flow".

    Raises:
      InputError: a missing or ambiguous file; features that do not match the annotations; unknown subsets.
    """
    features_file, folder = the_only(directory, FEATURES), the_only(directory, ANNOTATIONS)
    videos = annotations.read_npy_folder(folder)
    features = load_features(features_file, folder, len(videos))
    return as_source(folder, videos, features, features_file, subsets, modality)


def load_features(features_file: Path, folder: Path, number: int) -> np.ndarray:
    """Loads one array per video, in the order of the `number` annotations in `folder`."""
    features = load_npy(features_file)
    if features.shape[:1] != (number,):
        raise InputError(f"{features_file}: holds shape {features.shape}, but {folder} has {number} videos")
    return features


def as_source(
    folder: Path,
    videos: Sequence[SourceVideo],
    features: Sequence[np.ndarray] | None,
    features_file: Path | None,
    subsets: tuple[str, str] | None = None,
    modality: str = "both",
    refuse: Refuse = stop,
) -> Source:
    """Joins annotations and features.

    Args:
      folder: of the annotations and the class list.
      videos: the annotations.
      features: one array per video; None: there are none.
      features_file: for messages.
      subsets: see `read_joint`.
      modality: see `read_joint`.
      refuse: receives errors about the class list, and about features when they are read; may return.

    Raises:
      InputError: unknown subsets.
    """
    if features is not None:
        pairs = zip(videos, features, strict=True)
        videos = [_with_features(video, array, modality, features_file, refuse) for video, array in pairs]
    pair = _choose_subsets((subsets,) if subsets else SUBSETS, {video.subset for video in videos}, folder)
    splits = {
        split: tuple(video for video in videos if video.subset == subset)
        for split, subset in zip(SPLITS, pair, strict=True)
    }
    classes = attempt(refuse, annotations.read_classes, folder / "classlist.npy", refuse)
    return Source(classes or (), SNIPPETS_PER_SECOND, splits)


def the_only(directory: Path, pattern: str) -> Path:
    """Returns the file that matches the pattern; raises InputError for none or several."""
    matches = sorted(directory.glob(pattern))
    if len(matches) != 1:
        names = ", ".join(path.name for path in matches) or "none"
        raise InputError(f"{directory}: expected one {pattern}, found {names}")
    return matches[0]


def _choose_subsets(pairs: Sequence[tuple[str, str]], present: set[str], folder: Path) -> tuple[str, str]:
    for pair in pairs:
        if present.issuperset(pair):
            return pair
    known = " or ".join(" and ".join(pair) for pair in pairs)
    raise InputError(f"{folder / 'subset.npy'}: has the subsets {', '.join(sorted(present))}, expected {known}")


def _with_features(
    video: SourceVideo, features: np.ndarray, modality: str, features_file: Path, refuse: Refuse
) -> SourceVideo:
    origin = f'{features_file}, video "{video.name}"'
    read = functools.partial(_features, features, modality, origin, refuse)
    return dataclasses.replace(video, read_features=read, origin=origin)


def _features(features: np.ndarray, modality: str, origin: str, refuse: Refuse) -> np.ndarray:
    return take_modality(check_features(features, origin, refuse), modality, origin)
