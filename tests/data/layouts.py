"""Writes a small data set in either layout, for tests to read or to break."""

import dataclasses
import json
from pathlib import Path

import numpy as np

CLASSES = ("Jump", "Run")


@dataclasses.dataclass
class Example:
    """A video as the files hold it; times in seconds."""

    name: str
    split: str
    features: np.ndarray
    segments: list
    segment_labels: list[str]
    duration: float = 8.0


def make_examples(width: int = 6) -> list[Example]:
    """Three training and two test videos, every class in two training videos; names do not rise."""
    rng = np.random.default_rng(0)

    def example(name: str, split: str, *labels: str) -> Example:
        features = rng.random((int(rng.integers(3, 9)), width), np.float32)
        segments = [[0.1 * place, 1 / 3 + place] for place in range(len(labels))]
        return Example(name, split, features, segments, list(labels))

    return [
        example("v3", "train", "Run", "Jump", "Run"),
        example("v1", "train", "Jump"),
        example("v2", "train", "Run"),
        example("w2", "test", "Run", "Jump"),
        example("w1", "test", "Jump"),
    ]


def write_per_video(folder: Path, examples: list[Example], meta: dict | None = None) -> Path:
    """The per-video layout; features in features/{train,test}/."""
    database = {
        each.name: {
            "subset": each.split,
            "duration": each.duration,
            "annotations": [
                {"segment": segment, "label": label}
                for segment, label in zip(each.segments, each.segment_labels, strict=True)
            ],
        }
        for each in examples
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    meta = {"snippets_per_second": 1.0, "classes": CLASSES} if meta is None else meta
    (folder / "meta.json").write_text(json.dumps(meta))
    for split in ("train", "test"):
        names = [each.name for each in examples if each.split == split]
        (folder / f"split_{split}.txt").write_text("\n".join(names) + "\n")
    for each in examples:
        save(folder / "features" / each.split / f"{each.name}.npy", each.features)
    return folder


def write_joint(folder: Path, examples: list[Example]) -> Path:
    """The joint layout, with THUMOS-14's names of subsets."""
    annotations = folder / "Small-Annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    columns = {
        "videoname": np.array([each.name.encode() for each in examples]),
        "subset": np.array([b"validation" if each.split == "train" else b"test" for each in examples]),
        "duration": np.array([[each.duration] for each in examples]),
        "segments": ragged(each.segments for each in examples),
        "labels": ragged(each.segment_labels for each in examples),
        "labels_all": ragged(sorted(set(each.segment_labels)) for each in examples),
        "classlist": np.array([name.encode() for name in CLASSES]),
    }
    for field, column in columns.items():
        np.save(annotations / f"{field}.npy", column, allow_pickle=True)
    features = ragged(each.features for each in examples)
    np.save(folder / "Small-I3D-JOINTFeatures.npy", features, allow_pickle=True)
    return folder


def ragged(items) -> np.ndarray:
    """An object array of `items`, whatever they are."""
    items = list(items)
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array


def save(file: Path, array: np.ndarray) -> None:
    """Writes a .npy file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array)
