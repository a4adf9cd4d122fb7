"""Opens as much of a data set as possible, and collects errors instead of stopping at the first."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from tsc_jax.data import annotations, joint, per_video
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, attempt

LAYOUTS = ("joint", "per_video")
COLUMNS = ("videoname.npy", "subset.npy", "segments.npy")


@dataclasses.dataclass(frozen=True)
class Holdings:
    """What could be read of a data set.

    Attributes:
      layout: one of LAYOUTS.
      faults: errors so far; reading the features of a video may add one.
      source: its videos; None if they could not be read.
      has_features: whether there are features beside the annotations.
      unlisted: names of annotated videos in neither subset.
      extra_files: feature files that belong to no video.
      ambiguous: names in Ambiguous_test.txt that are not annotated.
    """

    layout: str
    faults: list[InputError]
    source: Source | None = None
    has_features: bool = False
    unlisted: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()


def detect_layout(directory: Path) -> str:
    """Returns the layout that the files in `directory` show.

    Raises:
      InputError: no such folder, neither layout, or both.
    """
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    signs = {
        "joint": [*directory.glob(joint.FEATURES), *directory.glob(joint.ANNOTATIONS), *_existing(directory, *COLUMNS)],
        "per_video": _existing(directory, "gt.json", "split_train.txt", "split_test.txt", "features"),
    }
    layouts = [layout for layout in LAYOUTS if signs[layout]]
    if len(layouts) == 1:
        return layouts[0]
    if layouts:
        names = " and ".join(signs[layout][0].name for layout in LAYOUTS)
        raise InputError(f"--source {directory}: holds {names}, which are signs of both layouts: give --layout")
    raise InputError(
        f"--source {directory}: no data set, expected {joint.FEATURES} and {joint.ANNOTATIONS} (joint layout)"
        " or features/, gt.json, split_train.txt and split_test.txt (per_video layout)"
    )


def _existing(directory: Path, *names: str) -> list[Path]:
    return [directory / name for name in names if (directory / name).exists()]


def read_holdings(directory: Path, layout: str, subsets: tuple[str, str] | None, modality: str) -> Holdings:
    """Reads a data set; features are read later, except that the joint layout loads its features file.

    Args:
      directory: of the data set, or of the annotations of the joint layout.
      layout: one of LAYOUTS.
      subsets: see `joint.read_joint`.
      modality: see `joint.read_joint`.

    Raises:
      InputError: nothing could be read.
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
    return Holdings(layout, faults)


def _read_joint(directory: Path, subsets: tuple[str, str] | None, modality: str, faults: list) -> Holdings:
    folder = directory if _existing(directory, *COLUMNS) else joint.the_only(directory, joint.ANNOTATIONS)
    videos = annotations.read_npy_folder(folder, faults.append)
    features_file = features = None
    if list(directory.glob(joint.FEATURES)):
        features_file = attempt(faults.append, joint.the_only, directory, joint.FEATURES)
    if features_file:
        features = attempt(faults.append, joint.load_features, features_file, folder, len(videos))
    source = joint.as_source(folder, videos, features, features_file, subsets, modality, faults.append)
    return Holdings(
        layout="joint",
        faults=faults,
        source=source,
        has_features=features is not None,
        unlisted=_unlisted(source, videos),
        ambiguous=tuple(_ambiguous(folder / "Ambiguous_test.txt", videos, faults)),
    )


def _read_per_video(directory: Path, modality: str, faults: list) -> Holdings:
    videos = annotations.read_json(directory / "gt.json", faults.append)
    has_features = (directory / "features").is_dir()
    source = per_video.as_source(directory, videos, modality, faults.append, has_features)
    return Holdings(
        layout="per_video",
        faults=faults,
        source=source,
        has_features=has_features,
        unlisted=_unlisted(source, videos),
        extra_files=tuple(_extra_files(directory, videos)),
        ambiguous=tuple(_ambiguous(directory / "Ambiguous_test.txt", videos, faults)),
    )


def _unlisted(source: Source, videos: Sequence[SourceVideo]) -> tuple[str, ...]:
    listed = {video.name for split in SPLITS for video in source.splits[split]}
    return tuple(video.name for video in videos if video.name not in listed)


def _extra_files(directory: Path, videos: Sequence[SourceVideo]) -> Iterator[str]:
    names = {video.name for video in videos}
    for list_file in _existing(directory, *(f"split_{split}.txt" for split in SPLITS)):
        names.update(attempt(lambda error: None, annotations.read_lines, list_file) or ())
    for file in sorted((directory / "features").rglob("*")):
        belongs = file.suffix == ".npy" and file.name.removesuffix(".npy") in names
        if file.is_file() and not file.name.startswith(".") and not belongs:
            yield str(file)


def _ambiguous(path: Path, videos: Sequence[SourceVideo], faults: list) -> Iterator[str]:
    names = {video.name for video in videos}
    lines = (path.exists() and attempt(faults.append, annotations.read_lines, path)) or ()
    for name in dict.fromkeys(line.split()[0] for line in lines if line):
        if name not in names:
            yield name
