"""The "joint" layout: NAME-I3D-JOINTFeatures.npy, all videos in one file, and NAME-Annotations/."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.annotations import Annotation, with_features
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.errors import InputError

# What such files call the videos to train and to test on: THUMOS-14 and everything in its form, ActivityNet.
SUBSETS = (("validation", "test"), ("training", "validation"))
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
    features_file = _the_only(directory, "*-I3D-JOINTFeatures.npy")
    folder = _the_only(directory, "*-Annotations")
    found = annotations.read_npy_folder(folder)
    features = load_npy(features_file)
    if features.shape[:1] != (len(found),):
        raise InputError(f"{features_file}: holds shape {features.shape}, but {folder} speaks of {len(found)} videos")
    splits = {"train": [], "test": []}
    present = {annotation.subset for annotation in found}
    split_of = dict(zip(_choose_subsets((subsets,) if subsets else SUBSETS, present, folder), splits, strict=True))
    for annotation, array in zip(found, features, strict=True):
        if annotation.subset in split_of:
            splits[split_of[annotation.subset]].append(_video(annotation, array, modality, features_file))
    return Source(
        classes=annotations.read_classes(folder / "classlist.npy"),
        snippets_per_second=SNIPPETS_PER_SECOND,
        splits={split: tuple(videos) for split, videos in splits.items()},
    )


def _the_only(directory: Path, pattern: str) -> Path:
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


def _video(annotation: Annotation, features: np.ndarray, modality: str, features_file: Path) -> SourceVideo:
    origin = f'{features_file}, video "{annotation.name}"'
    return with_features(annotation, functools.partial(_features, features, modality, origin), origin)


def _features(features: np.ndarray, modality: str, origin: str) -> np.ndarray:
    return take_modality(check_features(features, origin), modality, origin)
