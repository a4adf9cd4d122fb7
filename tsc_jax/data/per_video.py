"""The "per video" layout: one features file a video, gt.json, split_train.txt and split_test.txt."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.annotations import Annotation
from tsc_jax.data.features import check_features, take_modality
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop


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
    return as_source(directory, annotations.read_json(directory / "gt.json"), modality)


def as_source(
    directory: Path, found: Sequence[Annotation], modality: str = "both", refuse: Refuse = stop, features: bool = True
) -> Source:
    """The data set that annotations and the other files in `directory` make.

    Args:
      directory: as for `read_per_video`.
      found: the annotations of gt.json.
      modality: as for `read_per_video`.
      refuse: receives what is wrong with the files, with features when they are read, and may return.
      features: whether to look for them; without, reading them is an error.
    """
    by_name = {annotation.name: annotation for annotation in found}
    meta_file = directory / "meta.json"
    meta = (meta_file.exists() and attempt(refuse, annotations.load_json, meta_file, refuse)) or {}
    splits = {}
    for split in SPLITS:
        list_file = directory / f"split_{split}.txt"
        lines = attempt(refuse, annotations.read_lines, list_file) or ()
        videos = (_annotation_of(name, by_name, list_file, refuse) for name in lines if name)
        splits[split] = tuple(
            _video(annotation, directory, split, modality, refuse, features) for annotation in videos if annotation
        )
    classes = attempt(refuse, _classes, meta, by_name, meta_file)
    return Source(classes or (), attempt(refuse, _rate, meta, meta_file), splits)


def _annotation_of(name: str, found: Mapping[str, Annotation], list_file: Path, refuse: Refuse) -> Annotation | None:
    if name not in found:
        refuse(InputError(f'{list_file}: video "{name}" is not in gt.json', "unannotated"))
    return found.get(name)


def _classes(meta: dict, found: Mapping[str, Annotation], meta_file: Path) -> tuple[str, ...]:
    if "classes" not in meta:
        return tuple(sorted({label for annotation in found.values() for label in annotation.labels}))
    if not isinstance(meta["classes"], list):
        raise InputError(f'{meta_file}: "classes" is {meta["classes"]!r}, expected a list of names')
    return annotations.as_labels(meta["classes"], meta_file)


def _rate(meta: dict, meta_file: Path) -> float | None:
    rate = meta.get("snippets_per_second")
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < np.inf):
        raise InputError(f'{meta_file}: "snippets_per_second" is {rate!r}, expected a positive number', "no_rate")
    return rate


def _video(
    annotation: Annotation, directory: Path, split: str, modality: str, refuse: Refuse, features: bool
) -> SourceVideo:
    folder, files = directory / "features", {}
    if features:
        files = attempt(refuse, _features_files, folder, split, annotation.name, modality) or {}
    origin = " and ".join(str(file) for file in files.values())
    return annotations.with_features(annotation, functools.partial(_features, files, modality, refuse), origin)


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
        raise InputError(
            f'{folder}: no features of video "{name}": no {split}/{name}.npy, nor in rgb/ or flow/', "missing"
        )
    return files


def _features(files: Mapping[str, Path], modality: str, refuse: Refuse) -> np.ndarray:
    arrays = {kind: check_features(load_npy(file), str(file), refuse) for kind, file in files.items()}
    if "joined" in arrays:
        return take_modality(arrays["joined"], modality, str(files["joined"]))
    lengths = [len(array) for array in arrays.values()]
    # The two streams are cut into snippets apart, and one of them may lose its last.
    if max(lengths) - min(lengths) > 1:
        sentence = f"{files['flow']}: has {lengths[1]} snippets, but {files['rgb']} has {lengths[0]}"
        raise InputError(sentence, "feature_arrays")
    return np.concatenate([array[: min(lengths)] for array in arrays.values()], axis=1)
