"""Each defect planted in a sound data set gives its own finding and no other."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import save, write_joint
from tests.doctor.made_up import RATE, sound_examples, write_sound
from tests.doctor.plants import FILE_PLANTS, JOINT_PLANTS, PLANTS, edit_json, edit_text, remove
from tsc_jax.data.builder import config_of, prepare
from tsc_jax.data.joint import read_joint
from tsc_jax.data.layouts import detect_layout
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import Source
from tsc_jax.data.timing import Timing
from tsc_jax.doctor.examine import Examination, examine
from tsc_jax.doctor.findings import CHECKS
from tsc_jax.errors import InputError


def check(folder: Path, **timing) -> Examination:
    return examine(folder, detect_layout(folder), config_of(""), Options(timing=Timing(**timing)))


def found(examination: Examination) -> dict[str, int]:
    return {each.check: len(each.examples) for each in examination.findings}


@pytest.mark.parametrize("layout", ["per_video", "joint"])
@pytest.mark.parametrize("name", PLANTS)
def test_each_defect_of_a_video_gives_its_finding_alone(tmp_path, name, layout):
    plant, expected = PLANTS[name]
    plant(tmp_path, layout)
    examination = check(tmp_path, snippets_per_second=RATE)
    assert (examination.layout, found(examination)) == (layout, expected)


@pytest.mark.parametrize("name", FILE_PLANTS)
def test_each_defect_of_a_file_gives_its_finding_alone(tmp_path, name):
    plant, expected = FILE_PLANTS[name]
    plant(write_sound(tmp_path))
    assert found(check(tmp_path)) == expected


# Errors about data that launch.prepare can write, but that training or evaluation cannot use.
PREPARED = {"same_features_in_test", "rate", "fixed_length", "own_rates", "units"}
UNREAD = {"ambiguous is no text"}  # plants in files that only evaluation reads


def is_refused(read_source: Callable[[], Source], data_dir: Path) -> bool:
    try:
        return not prepare(read_source, "planted", data_dir)
    except InputError:
        return True


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        *(("per_video", name) for name in (*PLANTS, *FILE_PLANTS) if name not in UNREAD),
        *(("joint", name) for name in (*PLANTS, *JOINT_PLANTS) if name not in UNREAD),
    ],
)
def test_prepare_refuses_what_is_an_error(tmp_path, layout, name):
    folder, read = tmp_path / "source", {"per_video": read_per_video, "joint": read_joint}[layout]
    if name in PLANTS:
        PLANTS[name][0](folder, layout)
    elif layout == "per_video":
        FILE_PLANTS[name][0](write_sound(folder))
    else:
        JOINT_PLANTS[name][0](write_joint(folder, sound_examples()))
    errors = {each.check for each in check(folder).findings if each.severity == "error"}
    assert is_refused(lambda: read(folder), tmp_path / "data") == bool(errors - PREPARED)


def test_a_video_in_both_lists_is_found_by_its_name_alone(tmp_path):
    folder = write_sound(tmp_path)
    save(folder / "features" / "train" / "b6.npy", np.load(folder / "features" / "test" / "b6.npy"))
    edit_text("split_train.txt", lambda text: f"{text}b6\n")(folder)
    assert found(check(folder)) == {"same_name": 1}


@pytest.mark.parametrize("name", JOINT_PLANTS)
def test_each_defect_of_the_joint_files_gives_its_finding_alone(tmp_path, name):
    plant, expected = JOINT_PLANTS[name]
    plant(write_joint(tmp_path, sound_examples()))
    assert found(check(tmp_path, snippets_per_second=RATE)) == expected


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
    assert set(CHECKS) - planted == {"same_name"}  # it has a test of its own


def test_annotations_alone_are_examined(tmp_path):
    folder = write_sound(tmp_path)
    shutil.rmtree(folder / "features")
    examination = check(folder)
    assert not examination.has_features and found(examination) == {"no_features": 1}


def test_a_data_set_without_labels_has_no_class(tmp_path):
    folder = write_sound(tmp_path)
    edit_json("meta.json", lambda meta: meta.pop("classes"))(folder)
    edit_json("gt.json", lambda truth: [each.update(annotations=[]) for each in truth["database"].values()])(folder)
    assert found(check(folder)) == {"no_classes": 1, "unlabelled": 6, "no_ground_truth": 1}


def test_the_rate_that_would_fit_is_told(tmp_path):
    folder = write_sound(tmp_path)
    (finding,) = check(folder, snippets_per_second=25 / 16).findings
    assert finding.examples == ("1.5625 snippets per second fit 0 of 10 videos, about 2 would fit 10",)


def test_folders_of_no_or_of_either_layout_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        detect_layout(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no data set, expected"):
        detect_layout(tmp_path)
    write_joint(write_sound(tmp_path), sound_examples())
    with pytest.raises(InputError, match=r"holds Small-.* and gt.json, which are signs of both layouts: give --layout"):
        detect_layout(tmp_path)


# Real data.


def test_the_known_defects_of_the_public_thumos_annotations_are_found(shared):
    examination = check(shared / "annotations" / "Thumos14reduced-Annotations")
    assert found(examination) == {
        "label_disagreement": 28,
        "past_end": 3,
        "past_end_train": 2,
        "ambiguous": 1,
        "no_features": 1,
    }
    examples = {each.check: each.examples for each in examination.findings}
    assert examples["ambiguous"] == ("video_test_0001292",)
    names = [line.split(":")[0] for line in examples["past_end"]]
    assert names == ["video_test_0000270", "video_test_0000814", "video_test_0001081"]


@pytest.mark.parametrize("layout", ["joint", "per_video"])
def test_nothing_is_wrong_with_the_recorded_gestures(shared, layout):
    examination = check(shared / "real" / "gestures" / layout)
    assert (examination.layout, examination.has_features) == (layout, True)
    assert examination.findings == []
