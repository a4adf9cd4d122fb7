"""Reads the "per_video" layout: one features file per video, gt.json, split_train.txt and split_test.txt."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data import annotations
from tsc_jax.data.features import check_features
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo, labels_of
from tsc_jax.errors import InputError, Refuse, attempt, stop


def read_per_video(directory: Path, modality: str = "both", refuse: Refuse = stop) -> Source:
    """Reads a data set in the per-video layout; features are loaded later, video by video.

    Features are in features/VIDEO.npy or features/{train,test}/VIDEO.npy; separate RGB and flow in folders
    rgb/ and flow/ above or below that of the split. meta.json may give "snippets_per_second" and "classes";
    without it the classes are those of gt.json, sorted. Modality "both" joins RGB and flow where both exist.

    `refuse` receives errors after which reading can go on, also those of features that are read later. Raises
    InputError for a missing file, or a listed video that is not in gt.json.
    """
    annotated = {video.name: video for video in annotations.read_json(directory / "gt.json", refuse)}
    meta_file, folder = directory / "meta.json", directory / "features"
    meta = (meta_file.exists() and attempt(refuse, annotations.load_json, meta_file, refuse)) or {}
    if not folder.is_dir():
        refuse(InputError(f"{folder}: no such folder, expected the features of the videos", "no_features"))
    splits, listed, origins = {}, set(), {"rate": str(meta_file)}
    for split in SPLITS:
        list_file = directory / f"split_{split}.txt"
        names = [name for name in attempt(refuse, annotations.read_lines, list_file) or () if name]
        for name in names:
            if name not in annotated:
                refuse(InputError(f'{list_file}: video "{name}" is not in gt.json', "unannotated"))
        videos = [annotated[name] for name in names if name in annotated]
        if folder.is_dir():
            videos = [attempt(refuse, _with_features, each, folder, split, modality, refuse) or each for each in videos]
        splits[split], origins[split] = tuple(videos), str(list_file)
        listed.update(names)
    classes = meta.get("classes", [])
    if not isinstance(classes, list):
        refuse(InputError(f'{meta_file}: "classes" is {classes!r}, expected a list of names'))
        classes = []
    classes = attempt(refuse, annotations.as_labels, classes, meta_file)
    origins["classes"] = str(meta_file if classes else directory / "gt.json")
    classes = classes or labels_of(annotated.values())
    unlisted = tuple(name for name in annotated if name not in listed)
    extractor = meta.get("extractor")
    return Source(classes, meta.get("snippets_per_second"), splits, unlisted, origins=origins, extractor=extractor)


def _with_features(video: SourceVideo, folder: Path, split: str, modality: str, refuse: Refuse) -> SourceVideo:
    """Finds the file of all features, else those of RGB and flow that `modality` wants and that exist."""

    def first(*places: str) -> list[Path]:
        return [file for place in places if (file := folder / place / f"{video.name}.npy").is_file()][:1]

    files, cut = first(split, "."), modality
    if not files:
        cut = "both"
        for kind in ("rgb", "flow") if modality == "both" else (modality,):
            files += first(f"{split}/{kind}", f"{kind}/{split}", kind)
    if not files:
        expected = f"{split}/{video.name}.npy, or files in rgb/ and flow/"
        raise InputError(f'{folder}: no features of video "{video.name}", expected {expected}', "missing")
    read = functools.partial(_read_features, files, cut, refuse)
    return dataclasses.replace(video, read_features=read, origin=" and ".join(map(str, files)))


def _read_features(files: Sequence[Path], modality: str, refuse: Refuse) -> np.ndarray:
    arrays = [check_features(load_npy(file), str(file), modality, refuse) for file in files]
    first, last = len(arrays[0]), len(arrays[-1])
    # RGB and flow are cut into snippets separately, so that one of them may lack the last snippet.
    if abs(first - last) > 1:
        sentence = f"{files[-1]}: has {last} snippets, but {files[0]} has {first}"
        raise InputError(sentence, "feature_arrays")
    return np.concatenate([array[: min(first, last)] for array in arrays], axis=1)
