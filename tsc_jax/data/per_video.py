"""The "per video" layout: one features file a video, gt.json, split_train.txt and split_test.txt."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.annotations import Annotation
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError


def read_per_video(directory: Path, modality: str = "both") -> Source:
    """Reads a data set in the per-video layout; features are loaded when they are asked for.

    Features lie in features/VIDEO.npy or features/{train,test}/VIDEO.npy; RGB and flow apart in
    folders rgb/ and flow/ above or below the split's. meta.json may say "snippets_per_second" and
    "classes"; otherwise the classes are those of gt.json, sorted.

    Args:
      directory: of the data set.
      modality: "both" (RGB and flow joined where both are there), or "rgb" or "flow" alone.

    Raises:
      InputError: a missing file or features file; a listed video that gt.json does not know.
    """
    found = {annotation.name: annotation for annotation in annotations.read_json(directory / "gt.json")}
    meta_file = directory / "meta.json"
    meta = annotations.load_json(meta_file) if meta_file.exists() else {}
    splits = {}
    for split in SPLITS:
        list_file = directory / f"split_{split}.txt"
        videos = (_annotation_of(name, found, list_file) for name in annotations.read_lines(list_file) if name)
        splits[split] = tuple(_video(annotation, directory, split, modality) for annotation in videos)
    return Source(_classes(meta, found, meta_file), _rate(meta, meta_file), splits)


def _annotation_of(name: str, found: Mapping[str, Annotation], list_file: Path) -> Annotation:
    if name not in found:
        raise InputError(f'{list_file}: video "{name}" is not in gt.json')
    return found[name]


def _classes(meta: dict, found: Mapping[str, Annotation], meta_file: Path) -> tuple[str, ...]:
    if "classes" not in meta:
        return tuple(sorted({label for annotation in found.values() for label in annotation.labels}))
    if not isinstance(meta["classes"], list):
        raise InputError(f'{meta_file}: "classes" is {meta["classes"]!r}, expected a list of names')
    return annotations.as_labels(meta["classes"], meta_file)


def _rate(meta: dict, meta_file: Path) -> float | None:
    rate = meta.get("snippets_per_second")
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < np.inf):
        raise InputError(f'{meta_file}: "snippets_per_second" is {rate!r}, expected a positive number')
    return rate


def _video(annotation: Annotation, directory: Path, split: str, modality: str) -> SourceVideo:
    files = _features_files(directory / "features", split, annotation.name, modality)
    origin = " and ".join(str(file) for file in files.values())
    return annotations.with_features(annotation, functools.partial(_features, files, modality), origin)


def _features_files(folder: Path, split: str, name: str, modality: str) -> dict[str, Path]:
    """The files of a video by what they hold: "joined", or "rgb" and "flow" as far as they are wanted and there."""
    for place in (folder / split, folder):
        if (place / f"{name}.npy").is_file():
            return {"joined": place / f"{name}.npy"}
    files = {}
    for kind in ("rgb", "flow") if modality == "both" else (modality,):
        for place in (folder / split / kind, folder / kind / split, folder / kind):
            if (place / f"{name}.npy").is_file():
                files.setdefault(kind, place / f"{name}.npy")
    if not files:
        raise InputError(f'{folder}: no features of video "{name}": no {split}/{name}.npy, nor in rgb/ or flow/')
    return files


def _features(files: Mapping[str, Path], modality: str) -> np.ndarray:
    arrays = {kind: check_features(load_npy(file), str(file)) for kind, file in files.items()}
    if "joined" in arrays:
        return take_modality(arrays["joined"], modality, str(files["joined"]))
    lengths = [len(array) for array in arrays.values()]
    # The two streams are cut into snippets apart, and one of them may lose its last.
    if max(lengths) - min(lengths) > 1:
        raise InputError(f"{files['flow']}: has {lengths[1]} snippets, but {files['rgb']} has {lengths[0]}")
    return np.concatenate([array[: min(lengths)] for array in arrays.values()], axis=1)
