"""Reads the "per_video" layout: one features file per video, gt.json, split_train.txt and split_test.txt."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop


def read_per_video(directory: Path, modality: str = "both") -> Source:
    """Reads a data set in the per-video layout; features are loaded later, video by video.

    Features are in features/VIDEO.npy or features/{train,test}/VIDEO.npy; separate RGB and flow in folders
    rgb/ and flow/ above or below that of the split. meta.json may give "snippets_per_second" and "classes";
    without it the classes are those of gt.json, sorted.

    Args:
      directory: of the data set.
      modality: "both" (joins RGB and flow where both exist), "rgb" or "flow".

    Raises:
      InputError: a missing file, or a listed video that is not in gt.json.
    """
    return as_source(directory, annotations.read_json(directory / "gt.json"), modality)


def as_source(
    directory: Path,
    annotated: Sequence[SourceVideo],
    modality: str = "both",
    refuse: Refuse = stop,
    features: bool = True,
) -> Source:
    """Joins annotations and the other files of `directory`.

    Args:
      directory: of the data set.
      annotated: the annotations of gt.json.
      modality: see `read_per_video`.
      refuse: receives errors about the files, and about features when they are read; may return.
      features: whether to look for features.
    """
    by_name = {video.name: video for video in annotated}
    meta_file = directory / "meta.json"
    meta = (meta_file.exists() and attempt(refuse, annotations.load_json, meta_file, refuse)) or {}
    splits = {}
    for split in SPLITS:
        list_file = directory / f"split_{split}.txt"
        names = [name for name in attempt(refuse, annotations.read_lines, list_file) or () if name]
        for name in names:
            if name not in by_name:
                refuse(InputError(f'{list_file}: video "{name}" is not in gt.json', "unannotated"))
        videos = [by_name[name] for name in names if name in by_name]
        if features:
            videos = [_with_features(video, directory / "features", split, modality, refuse) for video in videos]
        splits[split] = tuple(videos)
    classes = attempt(refuse, _classes, meta, annotated, meta_file)
    return Source(classes or (), attempt(refuse, _rate, meta, meta_file), splits)


def _classes(meta: dict, annotated: Sequence[SourceVideo], meta_file: Path) -> tuple[str, ...]:
    if "classes" not in meta:
        return tuple(sorted({label for video in annotated for label in video.labels}))
    if not isinstance(meta["classes"], list):
        raise InputError(f'{meta_file}: "classes" is {meta["classes"]!r}, expected a list of names')
    return annotations.as_labels(meta["classes"], meta_file)


def _rate(meta: dict, meta_file: Path) -> float | None:
    rate = meta.get("snippets_per_second")
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < np.inf):
        raise InputError(f'{meta_file}: "snippets_per_second" is {rate!r}, expected a positive number', "no_rate")
    return rate


def _with_features(video: SourceVideo, folder: Path, split: str, modality: str, refuse: Refuse) -> SourceVideo:
    files = attempt(refuse, _features_files, folder, split, video.name, modality)
    if not files:
        return video
    origin = " and ".join(str(file) for file in files.values())
    return dataclasses.replace(
        video, read_features=functools.partial(_features, files, modality, refuse), origin=origin
    )


def _features_files(folder: Path, split: str, name: str, modality: str) -> dict[str, Path]:
    """Finds the files of a video: {"joined": file}, or those of "rgb" and "flow" that are wanted and exist."""
    for place in (folder / split, folder):
        if (place / f"{name}.npy").is_file():
            return {"joined": place / f"{name}.npy"}
    files = {}
    for kind in ("rgb", "flow") if modality == "both" else (modality,):
        for place in (folder / split / kind, folder / kind / split, folder / kind):
            if (place / f"{name}.npy").is_file():
                files.setdefault(kind, place / f"{name}.npy")
    if not files:
        raise InputError(
            f'{folder}: no features of video "{name}", expected {split}/{name}.npy, or files in rgb/ and flow/',
            "missing",
        )
    return files


def _features(files: Mapping[str, Path], modality: str, refuse: Refuse) -> np.ndarray:
    arrays = {kind: check_features(load_npy(file), str(file), refuse) for kind, file in files.items()}
    if "joined" in arrays:
        return take_modality(arrays["joined"], modality, str(files["joined"]))
    lengths = [len(array) for array in arrays.values()]
    # RGB and flow are cut into snippets separately, so that one of them may lack the last snippet.
    if max(lengths) - min(lengths) > 1:
        sentence = f"{files['flow']}: has {lengths[1]} snippets, but {files['rgb']} has {lengths[0]}"
        raise InputError(sentence, "feature_arrays")
    return np.concatenate([array[: min(lengths)] for array in arrays.values()], axis=1)
