"""Opens as much of a data set as can be opened, and collects what is wrong instead of stopping at it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tsc_jax.data import annotations, joint, per_video
from tsc_jax.data.annotations import Annotation
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.errors import InputError, attempt

LAYOUTS = ("joint", "per_video")
COLUMNS = ("videoname.npy", "subset.npy", "segments.npy")


@dataclasses.dataclass(frozen=True)
class Holdings:
    """A data set as it was found.

    Attributes:
      layout: one of LAYOUTS.
      source: its videos; None where not even those could be told.
      has_features: whether it holds features, or annotations alone.
      unlisted: names of annotated videos in neither subset.
      extra_files: files among the features that belong to no video.
      ambiguous: names in its Ambiguous_test.txt that its annotations lack.
      faults: what was wrong; reading the features of a video may add to it.
    """

    layout: str
    source: Source | None
    has_features: bool
    unlisted: tuple[str, ...]
    extra_files: tuple[str, ...]
    ambiguous: tuple[str, ...]
    faults: list[InputError]


def detect_layout(directory: Path) -> str:
    """One of LAYOUTS, by the files that are there.

    Raises:
      InputError: no such folder, neither layout, or both.
    """
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    signs = {
        "joint": [*directory.glob(joint.FEATURES), *directory.glob(joint.ANNOTATIONS), *_there(directory, *COLUMNS)],
        "per_video": _there(directory, "gt.json", "split_train.txt", "split_test.txt", "features"),
    }
    layouts = [layout for layout in LAYOUTS if signs[layout]]
    if len(layouts) == 1:
        return layouts[0]
    if layouts:
        names = " and ".join(signs[layout][0].name for layout in LAYOUTS)
        raise InputError(f"--source {directory}: holds {names}, so it could be of either layout: give --layout")
    raise InputError(
        f"--source {directory}: no data set, expected {joint.FEATURES} and {joint.ANNOTATIONS} (joint layout)"
        " or features/, gt.json, split_train.txt and split_test.txt (per_video layout)"
    )


def _there(directory: Path, *names: str) -> list[Path]:
    return [directory / name for name in names if (directory / name).exists()]


def read_holdings(directory: Path, layout: str, subsets: tuple[str, str] | None, modality: str) -> Holdings:
    """Reads a data set; features are read later, those of the joint layout at once.

    Args:
      directory: of the data set; of the joint layout also its folder of annotations alone.
      layout: one of LAYOUTS.
      subsets: as for `joint.read_joint`.
      modality: likewise.

    Raises:
      InputError: nothing at all could be read.
    """
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    faults = []
    try:
        if layout == "joint":
            return _read_joint(directory, subsets, modality, faults)
        return _read_per_video(directory, modality, faults)
    except InputError as error:
        if not faults:
            raise
        faults.append(error)
    return Holdings(layout, None, False, (), (), (), faults)


def _read_joint(directory: Path, subsets: tuple[str, str] | None, modality: str, faults: list) -> Holdings:
    alone = _there(directory, *COLUMNS)
    folder = directory if alone else joint.the_only(directory, joint.ANNOTATIONS)
    found = annotations.read_npy_folder(folder, faults.append)
    features_file = features = None
    if list(directory.glob(joint.FEATURES)):
        features_file = attempt(faults.append, joint.the_only, directory, joint.FEATURES)
    if features_file:
        features = attempt(faults.append, joint.load_features, features_file, folder, found)
    has_features = features is not None
    source = joint.as_source(
        folder,
        found,
        features if has_features else [None] * len(found),
        features_file or Path(),
        subsets,
        modality,
        faults.append,
    )
    ambiguous = tuple(_ambiguous(folder / "Ambiguous_test.txt", found, faults))
    return Holdings("joint", source, has_features, _unlisted(source, found), (), ambiguous, faults)


def _read_per_video(directory: Path, modality: str, faults: list) -> Holdings:
    found = annotations.read_json(directory / "gt.json", faults.append)
    has_features = (directory / "features").is_dir()
    source = per_video.as_source(directory, found, modality, faults.append, has_features)
    ambiguous = tuple(_ambiguous(directory / "Ambiguous_test.txt", found, faults))
    extra = tuple(_extra_files(directory, found)) if has_features else ()
    return Holdings("per_video", source, has_features, _unlisted(source, found), extra, ambiguous, faults)


def _unlisted(source: Source, found: list[Annotation]) -> tuple[str, ...]:
    listed = {video.name for split in SPLITS for video in source.splits[split]}
    return tuple(annotation.name for annotation in found if annotation.name not in listed)


def _extra_files(directory: Path, found: list[Annotation]) -> Iterator[str]:
    names = {annotation.name for annotation in found}
    for list_file in _there(directory, *(f"split_{split}.txt" for split in SPLITS)):
        names.update(attempt(lambda error: None, annotations.read_lines, list_file) or ())
    for file in sorted((directory / "features").rglob("*")):
        known = file.suffix == ".npy" and file.name.removesuffix(".npy") in names
        if file.is_file() and not file.name.startswith(".") and not known:
            yield str(file)


def _ambiguous(path: Path, found: list[Annotation], faults: list) -> Iterator[str]:
    names = {annotation.name for annotation in found}
    lines = (path.exists() and attempt(faults.append, annotations.read_lines, path)) or ()
    for name in dict.fromkeys(line.split()[0] for line in lines if line):
        if name not in names:
            yield name
