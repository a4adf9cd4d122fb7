"""Defects to plant in a sound data set, each with the expected findings and their numbers of examples."""

import json
import shutil
from pathlib import Path

import numpy as np

from tests.data.layouts import Example, save, write_joint
from tests.doctor.made_up import sound_examples, write_sound

# Defects of the videos, before they are written; where both layouts can hold them, both must find them.


def of_examples(change):
    """Writes the examples that `change` has changed, in either layout."""

    def plant(folder: Path, layout: str) -> None:
        examples = {each.name: each for each in sound_examples()}
        examples = change(examples) or examples
        if layout == "per_video":
            write_sound(folder, list(examples.values()))
        else:
            write_joint(folder, list(examples.values()))

    return plant


def edit(name: str, **changes):
    def change(examples: dict[str, Example]) -> None:
        for field, value in changes.items():
            old = getattr(examples[name], field)
            setattr(examples[name], field, value(old) if callable(value) else value)

    return of_examples(change)


def with_value(value: float):
    def change(features: np.ndarray) -> np.ndarray:
        features = features.copy()
        features[3, 2] = value
        return features

    return change


def zeroed(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features[:-2], np.zeros_like(features[:2])])


def same_features(name: str, of: str):
    def change(examples: dict[str, Example]) -> None:
        examples[name].features, examples[name].duration = examples[of].features, examples[of].duration

    return of_examples(change)


def labels_of(split: str, **renamed: str):
    def change(examples: dict[str, Example]) -> None:
        for each in examples.values():
            if each.split == split:
                each.segment_labels = [renamed.get(label, label) for label in each.segment_labels]

    return of_examples(change)


def one_runner(examples: dict[str, Example]) -> None:
    for each in examples.values():
        if each.split == "train" and each.name != "a2":
            each.segment_labels = ["Jump"] * len(each.segment_labels)


def no_test_segments(examples: dict[str, Example]) -> None:
    for each in examples.values():
        if each.split == "test":
            each.segments, each.segment_labels = [], []


def all_of_width(width: int):
    def change(examples: dict[str, Example]) -> None:
        for each in examples.values():
            each.features = each.features[:, :width]

    return of_examples(change)


def scale_segments(examples: dict[str, Example], *factors: float) -> None:
    for index, each in enumerate(examples.values()):
        factor = factors[index % len(factors)]
        each.segments = [[factor * start, factor * end] for start, end in each.segments]


def scale_times(examples: dict[str, Example], *fps: float) -> None:
    scale_segments(examples, *(25 / each for each in fps))
    for index, each in enumerate(examples.values()):
        each.duration *= 25 / fps[index % len(fps)]


def cut_to(examples: dict[str, Example], snippets: int) -> None:
    for each in examples.values():
        each.features = each.features[:snippets]


PLANTS = {
    "none": (of_examples(lambda examples: None), {}),
    "NaN": (edit("a2", features=with_value(np.nan)), {"not_finite": 1}),
    "infinity": (edit("b7", features=with_value(np.inf)), {"not_finite": 1}),
    "zeros": (edit("a2", features=zeroed), {"zero_snippets": 1}),
    "one width": (edit("a2", features=lambda features: features[:, :4]), {"width": 1}),
    "odd width": (all_of_width(6), {"heads": 1}),
    "rank": (edit("a2", features=lambda features: features[0]), {"feature_arrays": 1}),
    "empty": (edit("a2", features=lambda features: features[:0]), {"feature_arrays": 1}),
    "text": (edit("a2", features=lambda features: features.astype(str)), {"feature_arrays": 1}),
    "too short": (edit("a2", features=lambda features: features[:-4]), {"length": 1}),
    "copy in training": (same_features("a2", "a1"), {"same_features": 1}),
    "copy in test": (same_features("b8", "a1"), {"same_features_in_test": 1}),
    "misspelt": (edit("b8", segment_labels=["Rum", "Jump", "Run"]), {"unknown_labels": 1}),
    "test past the end": (edit("b6", segments=[[0.5, 99.0]]), {"past_end": 1}),
    "training past the end": (edit("a0", segments=[[0.5, 99.0]]), {"past_end_train": 1}),
    "before the start": (edit("b6", segments=[[-1.0, 2.0]]), {"negative_times": 1}),
    "in frames": (of_examples(lambda examples: scale_segments(examples, 25)), {"units": 2}),
    "one length": (of_examples(lambda examples: cut_to(examples, 16)), {"fixed_length": 1}),
    "rates of their own": (of_examples(lambda examples: scale_times(examples, 24, 60, 12, 30)), {"own_rates": 1}),
    "other capitals": (edit("b8", segment_labels=["run", "Jump", "Run"]), {"near_labels": 1}),
    "no length": (edit("b6", segments=[[1.0, 1.0]]), {"no_length": 1}),
    "ends before it starts": (edit("b8", segments=[[0.5, 2], [3, 4], [6, 5]]), {"segments": 1}),
    "no time": (edit("b8", segments=[[0.5, 2], [3, 3.5], ["x", 6]]), {"segments": 1}),
    "twice": (edit("b8", segments=[[0.5, 2], [3, 4], [0.5, 2.05]]), {"same_segment": 1}),
    "negative duration": (edit("a2", duration=-1.0), {"durations": 1}),
    "one runner": (of_examples(one_runner), {"few_videos": 1}),
    "untrained": (labels_of("train", Run="Jump"), {"untrained_classes": 1}),
    "untested": (labels_of("test", Run="Jump"), {"untested_classes": 1}),
    "nothing to test": (of_examples(no_test_segments), {"no_ground_truth": 1, "untested_classes": 2}),
    "no action": (edit("b6", segments=[], segment_labels=[]), {"no_segments": 1}),
    "no label": (edit("a0", segments=[], segment_labels=[]), {"unlabelled": 1}),
}


# Defects of the files around them.


def edit_json(file: str, change):
    def plant(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        change(content)
        (folder / file).write_text(json.dumps(content))

    return plant


def edit_text(file: str, change):
    return lambda folder: (folder / file).write_text(change((folder / file).read_text()))


def damage(file: str):
    return lambda folder: (folder / file).write_text("no array")


def remove(file: str):
    return lambda folder: (folder / file).unlink()


def rename(file: str, name: str):
    return lambda folder: (folder / file).rename((folder / file).with_name(name))


def unlist_and_spoil(folder: Path) -> None:
    edit_text("split_test.txt", lambda text: text.replace("b6\n", ""))(folder)
    spoilt = {"label": "Run", "segment": [5, 3]}
    edit_json("gt.json", lambda truth: truth["database"]["b6"].update(annotations=[spoilt]))(folder)


def unlist_all(folder: Path) -> None:
    for file in (folder / "features" / "train").iterdir():
        file.unlink()
    (folder / "split_train.txt").write_text("")


def no_text(file: str):
    return lambda folder: (folder / file).write_bytes(b"b6 1 2\n\xff\xfe\n")


FILE_PLANTS = {
    "no features": (lambda folder: shutil.rmtree(folder / "features"), {"no_features": 1}),
    "ambiguous is no text": (no_text("Ambiguous_test.txt"), {"unusable": 1}),
    "list is no text": (no_text("split_test.txt"), {"unusable": 1}),
    "damaged": (damage("features/train/a2.npy"), {"unusable": 1}),
    "missing": (remove("features/train/a2.npy"), {"missing": 1}),
    "other prefix": (rename("features/train/a2.npy", "clip-a2.npy"), {"near_names": 1}),
    "other suffix": (rename("features/train/a2.npy", "a2_i3d.npy"), {"near_names": 1}),
    "file in capitals": (rename("features/train/a2.npy", "A2.npy"), {"near_names": 1}),
    "class twice": (
        edit_json("meta.json", lambda meta: meta["classes"].append("run ")),
        {"near_labels": 1, "unused_classes": 1},
    ),
    "unlisted and wrong": (unlist_and_spoil, {"unlisted": 1}),
    "unknown": (edit_text("split_test.txt", lambda text: f"{text}ghost\n"), {"unannotated": 1}),
    "unlisted": (edit_text("split_test.txt", lambda text: text.replace("b6\n", "")), {"unlisted": 1}),
    "listed twice": (edit_text("split_test.txt", lambda text: f"{text}b6\n"), {"repeated_names": 1}),
    "extra": (lambda folder: save(folder / "features" / "test" / "c.npy", np.ones((9, 8))), {"extra_files": 1}),
    "other form": (lambda folder: (folder / "features" / "b6.mat").write_text(""), {"extra_files": 1}),
    "no rate": (edit_json("meta.json", lambda meta: meta.pop("snippets_per_second")), {"no_rate": 1}),
    "bad rate": (edit_json("meta.json", lambda meta: meta.update(snippets_per_second="2")), {"no_rate": 1}),
    "other rate": (edit_json("meta.json", lambda meta: meta.update(snippets_per_second=4)), {"rate": 1}),
    "unused class": (edit_json("meta.json", lambda meta: meta["classes"].append("Swim")), {"unused_classes": 1}),
    "repeated class": (edit_json("meta.json", lambda meta: meta["classes"].append("Run")), {"repeated_names": 1}),
    "no labels": (
        edit_json("gt.json", lambda truth: [truth["database"][f"a{n}"].update(annotations=[]) for n in range(6)]),
        {"no_classes": 1, "unlabelled": 6, "untrained_classes": 2},
    ),
    "bad classes": (edit_json("meta.json", lambda meta: meta.update(classes=7)), {"unusable": 1}),
    "no list": (remove("split_test.txt"), {"unusable": 1}),
    "empty list": (unlist_all, {"empty_split": 1}),
    "no entry": (
        edit_json("gt.json", lambda truth: truth["database"].update(a0={})),
        {"unlabelled": 1},
    ),
    "twice in gt": (
        edit_text("gt.json", lambda text: text.replace('{"database": {', '{"database": {"a0": {}, ')),
        {"repeated_names": 1},
    ),
}


def edit_column(file: str, change):
    def plant(folder: Path) -> None:
        path = folder / "Small-Annotations" / file
        np.save(path, change(np.load(path, allow_pickle=True)), allow_pickle=True)

    return plant


def other_labels(column: np.ndarray) -> np.ndarray:
    column[0] = ["Run"]
    return column


def long_first(column: np.ndarray) -> np.ndarray:
    return np.array([b"n" * 252, *column[1:]])


JOINT_PLANTS = {
    "labels of its own": (edit_column("labels_all.npy", other_labels), {"label_disagreement": 1}),
    "third subset": (edit_column("subset.npy", lambda c: np.where(np.arange(10) == 9, b"spare", c)), {"unlisted": 1}),
    "repeated class": (edit_column("classlist.npy", lambda c: np.append(c, b"Run")), {"repeated_names": 1}),
    "long name": (edit_column("videoname.npy", long_first), {"long_names": 1}),
    "no class list": (remove("Small-Annotations/classlist.npy"), {"unusable": 1}),
    "no features": (remove("Small-I3D-JOINTFeatures.npy"), {"no_features": 1}),
    "ambiguous is no text": (no_text("Small-Annotations/Ambiguous_test.txt"), {"unusable": 1}),
    "damaged features": (damage("Small-I3D-JOINTFeatures.npy"), {"unusable": 1}),
    "ambiguous": (
        lambda folder: (folder / "Small-Annotations" / "Ambiguous_test.txt").write_text("b6 1 2\nc1  1 2\nc1  3 4\n"),
        {"ambiguous": 1},
    ),
}
