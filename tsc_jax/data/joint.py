"""The "joint" layout: NAME-I3D-JOINTFeatures.npy, all videos in one file, and NAME-Annotations/."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.annotations import Annotation, with_features
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop

# What such files call the videos to train and to test on: THUMOS-14 and everything in its form, ActivityNet.
SUBSETS = (("validation", "test"), ("training", "validation"))
FEATURES, ANNOTATIONS = "*-I3D-JOINTFeatures.npy", "*-Annotations"
SNIPPETS_PER_SECOND = 25 / 16  # the layout has no place for another rate; its extracted_fps.npy is wrong


def read_joint(directory: Path, subsets: tuple[str, str] | None = None, modality: str = "both") -> Source:
    """Reads a data set in the joint layout; the features file is loaded whole.

    Args:
      directory: holds one NAME-I3D-JOINTFeatures.npy and one NAME-Annotations/.
      subsets: names of the training and of the test subset; None: whichever of SUBSETS occur.
      modality: "both", or "rgb" or "flow" alone.

    Raises:
      InputError: no or several such files; features and annotations that do not match; other subsets.
    """
    features_file, folder = the_only(directory, FEATURES), the_only(directory, ANNOTATIONS)
    found = annotations.read_npy_folder(folder)
    return as_source(folder, found, load_features(features_file, folder, found), features_file, subsets, modality)


def load_features(features_file: Path, folder: Path, found: Sequence[Annotation]) -> np.ndarray:
    """One array a video, in the order of the annotations that were found in `folder`."""
    features = load_npy(features_file)
    if features.shape[:1] != (len(found),):
        raise InputError(f"{features_file}: holds shape {features.shape}, but {folder} speaks of {len(found)} videos")
    return features


def as_source(
    folder: Path,
    found: Sequence[Annotation],
    features: Sequence[np.ndarray],
    features_file: Path,
    subsets: tuple[str, str] | None = None,
    modality: str = "both",
    refuse: Refuse = stop,
) -> Source:
    """The data set that annotations and features make.

    Args:
      folder: where the annotations and the class list lie.
      found: the annotations.
      features: of each of them.
      features_file: where those come from, for messages.
      subsets: as for `read_joint`.
      modality: likewise.
      refuse: receives what is wrong with the class list or with features, when they are read, and may return.

    Raises:
      InputError: other subsets.
    """
    present = {annotation.subset for annotation in found}
    splits = {}
    for split, subset in zip(SPLITS, _choose_subsets((subsets,) if subsets else SUBSETS, present, folder), strict=True):
        pairs = zip(found, features, strict=True)
        splits[split] = tuple(
            _video(annotation, array, modality, features_file, refuse)
            for annotation, array in pairs
            if annotation.subset == subset
        )
    classes = attempt(refuse, annotations.read_classes, folder / "classlist.npy", refuse)
    return Source(classes or (), SNIPPETS_PER_SECOND, splits)


def the_only(directory: Path, pattern: str) -> Path:
    """The file of that pattern; raises InputError if there is none, or several."""
    found = sorted(directory.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{directory}: expected one {pattern}, found {names}")
    return found[0]


def _choose_subsets(pairs: Sequence[tuple[str, str]], present: set[str], folder: Path) -> tuple[str, str]:
    for pair in pairs:
        if present.issuperset(pair):
            return pair
    known = " or ".join(" and ".join(pair) for pair in pairs)
    raise InputError(f"{folder / 'subset.npy'}: has the subsets {', '.join(sorted(present))}, expected {known}")


def _video(
    annotation: Annotation, features: np.ndarray, modality: str, features_file: Path, refuse: Refuse
) -> SourceVideo:
    origin = f'{features_file}, video "{annotation.name}"'
    return with_features(annotation, functools.partial(_features, features, modality, origin, refuse), origin)


def _features(features: np.ndarray, modality: str, origin: str, refuse: Refuse) -> np.ndarray:
    return take_modality(check_features(features, origin, refuse), modality, origin)
