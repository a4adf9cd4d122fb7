"""Each defect that is planted in a sound data set gives its own finding and no other."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import Example, save, write_joint
from tests.doctor.made_up import RATE, sound_examples, write_sound
from tsc_jax.data.builder import config_of
from tsc_jax.doctor.examine import Examination, examine
from tsc_jax.doctor.findings import CHECKS
from tsc_jax.doctor.reading import detect_layout
from tsc_jax.errors import InputError


def check(folder: Path, **kwargs) -> Examination:
    return examine(folder, detect_layout(folder), config_of(""), **kwargs)


def found(examination: Examination) -> dict[str, int]:
    return {each.check: len(each.examples) for each in examination.findings}


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


@pytest.mark.parametrize("layout", ["per_video", "joint"])
@pytest.mark.parametrize("name", PLANTS)
def test_each_defect_of_a_video_gives_its_finding_alone(tmp_path, name, layout):
    plant, expected = PLANTS[name]
    plant(tmp_path, layout)
    examination = check(tmp_path, rate=RATE)
    assert (examination.holdings.layout, found(examination)) == (layout, expected)


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


def unlist_all(folder: Path) -> None:
    for file in (folder / "features" / "train").iterdir():
        file.unlink()
    (folder / "split_train.txt").write_text("")


FILE_PLANTS = {
    "damaged": (damage("features/train/a2.npy"), {"unusable": 1}),
    "missing": (remove("features/train/a2.npy"), {"missing": 1}),
    "unknown": (edit_text("split_test.txt", lambda text: f"{text}ghost\n"), {"unannotated": 1}),
    "unlisted": (edit_text("split_test.txt", lambda text: text.replace("b6\n", "")), {"unlisted": 1}),
    "listed twice": (edit_text("split_test.txt", lambda text: f"{text}b6\n"), {"repeated_names": 1}),
    "extra": (lambda folder: save(folder / "features" / "test" / "c.npy", np.ones((9, 8))), {"extra_files": 1}),
    "other form": (lambda folder: (folder / "features" / "b6.h5").write_text(""), {"extra_files": 1}),
    "no rate": (edit_json("meta.json", lambda meta: meta.pop("snippets_per_second")), {"no_rate": 1}),
    "bad rate": (edit_json("meta.json", lambda meta: meta.update(snippets_per_second="2")), {"no_rate": 1}),
    "other rate": (edit_json("meta.json", lambda meta: meta.update(snippets_per_second=4)), {"rate": 1}),
    "unused class": (edit_json("meta.json", lambda meta: meta["classes"].append("Swim")), {"unused_classes": 1}),
    "bad classes": (edit_json("meta.json", lambda meta: meta.update(classes=7)), {"unusable": 1}),
    "no list": (remove("split_test.txt"), {"unusable": 1}),
    "empty list": (unlist_all, {"empty_split": 1}),
    "no entry": (
        edit_json("gt.json", lambda truth: truth["database"].update(a0={})),
        {"unusable": 1, "unlabelled": 1},
    ),
    "twice in gt": (
        edit_text("gt.json", lambda text: text.replace('{"database": {', '{"database": {"a0": {}, ')),
        {"repeated_names": 1},
    ),
}


@pytest.mark.parametrize("name", FILE_PLANTS)
def test_each_defect_of_a_file_gives_its_finding_alone(tmp_path, name):
    plant, expected = FILE_PLANTS[name]
    plant(write_sound(tmp_path))
    assert found(check(tmp_path)) == expected


def test_a_video_in_both_lists_is_found_by_its_name_alone(tmp_path):
    folder = write_sound(tmp_path)
    save(folder / "features" / "train" / "b6.npy", np.load(folder / "features" / "test" / "b6.npy"))
    edit_text("split_train.txt", lambda text: f"{text}b6\n")(folder)
    assert found(check(folder)) == {"same_name": 1}


def edit_column(file: str, change):
    def plant(folder: Path) -> None:
        path = folder / "Small-Annotations" / file
        np.save(path, change(np.load(path, allow_pickle=True)), allow_pickle=True)

    return plant


def other_labels(column: np.ndarray) -> np.ndarray:
    column[0] = ["Run"]
    return column


def first_twice(column: np.ndarray) -> np.ndarray:
    return np.concatenate([column[:1], column[:-1]])


JOINT_PLANTS = {
    "labels of its own": (edit_column("labels_all.npy", other_labels), {"label_disagreement": 1}),
    "third subset": (edit_column("subset.npy", lambda c: np.where(np.arange(10) == 9, b"spare", c)), {"unlisted": 1}),
    "repeated class": (edit_column("classlist.npy", lambda c: np.append(c, b"Run")), {"repeated_names": 1}),
    "no class list": (remove("Small-Annotations/classlist.npy"), {"unusable": 1}),
    "no features": (remove("Small-I3D-JOINTFeatures.npy"), {"no_features": 4}),
    "damaged features": (damage("Small-I3D-JOINTFeatures.npy"), {"unusable": 1, "no_features": 4}),
    "ambiguous": (
        lambda folder: (folder / "Small-Annotations" / "Ambiguous_test.txt").write_text("b6 1 2\nc1  1 2\nc1  3 4\n"),
        {"ambiguous": 1},
    ),
}


@pytest.mark.parametrize("name", JOINT_PLANTS)
def test_each_defect_of_the_joint_files_gives_its_finding_alone(tmp_path, name):
    plant, expected = JOINT_PLANTS[name]
    plant(write_joint(tmp_path, sound_examples()))
    assert found(check(tmp_path, rate=RATE)) == expected


def test_every_missing_column_is_named(tmp_path):
    folder = write_joint(tmp_path, sound_examples())
    remove("Small-Annotations/labels.npy")(folder)
    remove("Small-Annotations/duration.npy")(folder)
    (finding,) = check(folder).findings
    assert [line.split(":")[0] for line in finding.examples] == [
        f"Small-Annotations/{name}.npy" for name in ("duration", "labels")
    ]


def test_all_defects_are_told_at_once(tmp_path):
    folder = write_sound(tmp_path)
    plants = ("damaged", "unknown", "extra", "unused class")
    for name in plants:
        FILE_PLANTS[name][0](folder)
    expected = {check: number for name in plants for check, number in FILE_PLANTS[name][1].items()}
    assert found(check(folder)) == expected


def test_every_check_is_planted():
    planted = {name for _, each in (PLANTS | FILE_PLANTS | JOINT_PLANTS).values() for name in each}
    assert set(CHECKS) - planted == {"same_name", "no_classes"}  # these have tests of their own


def test_a_data_set_without_labels_has_no_class(tmp_path):
    folder = write_sound(tmp_path)
    edit_json("meta.json", lambda meta: meta.pop("classes"))(folder)
    edit_json("gt.json", lambda truth: [each.update(annotations=[]) for each in truth["database"].values()])(folder)
    assert found(check(folder)) == {"no_classes": 1, "unlabelled": 6, "no_ground_truth": 1}


def test_the_rate_that_would_fit_is_told(tmp_path):
    folder = write_sound(tmp_path)
    (finding,) = check(folder, rate=25 / 16).findings
    assert finding.examples == ("1.5625 snippets a second fit 0 of 10 videos, about 2 would fit 10",)


def test_folders_of_no_or_of_either_layout_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        detect_layout(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no data set, expected"):
        detect_layout(tmp_path)
    write_joint(write_sound(tmp_path), sound_examples())
    with pytest.raises(InputError, match=r"holds Small-.* and gt.json, so it could be of either layout: give --layout"):
        detect_layout(tmp_path)


# What is real.


def test_the_public_annotations_of_thumos_give_what_is_known_of_them(shared):
    examination = check(shared / "annotations" / "Thumos14reduced-Annotations")
    assert found(examination) == {
        "label_disagreement": 28,
        "past_end": 3,
        "past_end_train": 2,
        "ambiguous": 1,
        "no_features": 4,
    }
    examples = {each.check: each.examples for each in examination.findings}
    assert examples["ambiguous"] == ("video_test_0001292",)
    names = [line.split(":")[0] for line in examples["past_end"]]
    assert names == ["video_test_0000270", "video_test_0000814", "video_test_0001081"]


@pytest.mark.parametrize("layout", ["joint", "per_video"])
def test_nothing_is_wrong_with_the_recorded_gestures(shared, layout):
    examination = check(shared / "real" / "gestures" / layout)
    assert (examination.holdings.layout, examination.holdings.has_features) == (layout, True)
    assert examination.findings == []
