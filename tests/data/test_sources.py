"""Both layouts give the same source; errors name the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import CLASSES, make_examples, ragged, save, write_joint, write_per_video
from tsc_jax.data.checks import check_source
from tsc_jax.data.joint import read_joint
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.errors import InputError


def facts(source: Source, split: str) -> dict:
    return {
        video.name: (video.duration, set(video.labels), video.segments, video.segment_labels)
        for video in source.splits[split]
    }


def assert_same_source(left: Source, right: Source) -> None:
    assert left.classes == right.classes
    for split in SPLITS:
        assert facts(left, split) == facts(right, split)
        features = {video.name: video.read_features() for video in right.splits[split]}
        for video in left.splits[split]:
            array = video.read_features()
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, features[video.name])


def test_both_layouts_give_what_was_written(tmp_path):
    examples = make_examples()
    per_video = read_per_video(write_per_video(tmp_path / "a", examples))
    joint = read_joint(write_joint(tmp_path / "b", examples))
    assert_same_source(per_video, joint)
    assert per_video.classes == CLASSES
    assert (per_video.snippets_per_second, joint.snippets_per_second) == (1.0, 25 / 16)
    assert [video.name for video in joint.splits["train"]] == ["v3", "v1", "v2"]
    third = joint.splits["train"][0]
    assert third.labels == ("Jump", "Run") and third.segment_labels == ("Run", "Jump", "Run")
    assert third.segments == ((0.0, 1 / 3), (0.1, 4 / 3), (0.2, 7 / 3))  # not a bit of them is lost
    np.testing.assert_array_equal(third.read_features(), examples[0].features)


def test_the_recorded_gestures_are_the_same_in_both_layouts(shared):
    folder = shared / "real" / "gestures"
    joint, per_video = read_joint(folder / "joint"), read_per_video(folder / "per_video")
    assert (joint.snippets_per_second, per_video.snippets_per_second) == (25 / 16, 4)
    assert joint.classes == per_video.classes
    for split, counts in {"train": (204, 9736, 372), "test": (98, 4776, 200)}.items():
        snippets = 0
        for left, right in zip(joint.splits[split], per_video.splits[split], strict=True):
            features = left.read_features()
            np.testing.assert_array_equal(features, right.read_features())
            snippets += len(features)
            assert (left.name, set(left.labels), left.segment_labels) == (
                right.name,
                set(right.labels),
                right.segment_labels,
            )
            np.testing.assert_allclose(np.array(left.segments) * (25 / 16) / 4, right.segments, atol=0.02)
        segments = sum(len(video.segments) for video in joint.splits[split])
        assert (len(joint.splits[split]), snippets, segments) == counts


def test_subsets_of_activitynet_are_known_and_others_can_be_named(tmp_path):
    folder = write_joint(tmp_path, make_examples())
    file = folder / "Small-Annotations" / "subset.npy"
    subset = np.load(file)
    np.save(file, np.where(subset == b"test", b"validation", b"training"))
    assert [len(read_joint(folder).splits[split]) for split in SPLITS] == [3, 2]
    assert [len(read_joint(folder, Options(subsets=("validation", "training"))).splits[split]) for split in SPLITS] == [
        2,
        3,
    ]
    np.save(file, np.where(subset == b"test", b"one", b"two"))
    with pytest.raises(InputError, match=r"subset\.npy: has the subsets one, two, expected validation and test or"):
        read_joint(folder)


def test_classes_are_the_labels_where_no_list_is_given(tmp_path):
    source = read_per_video(write_per_video(tmp_path, make_examples(), meta={}))
    assert source.classes == CLASSES and source.snippets_per_second is None


# Errors in the files of the per-video layout.


@pytest.mark.parametrize("file", ["gt.json", "split_train.txt", "split_test.txt"])
def test_a_missing_file_is_named(tmp_path, file):
    (write_per_video(tmp_path, make_examples()) / file).unlink()
    with pytest.raises(InputError, match=f"{file}: no such file"):
        read_per_video(tmp_path)


def test_a_missing_features_file_is_named_before_anything_is_read(tmp_path):
    (write_per_video(tmp_path, make_examples()) / "features/test/w1.npy").unlink()
    with pytest.raises(InputError, match='features: no features of video "w1"'):
        read_per_video(tmp_path)


def test_a_listed_video_without_annotation_is_named(tmp_path):
    with (write_per_video(tmp_path, make_examples()) / "split_test.txt").open("a") as file:
        file.write("w9\n")
    with pytest.raises(InputError, match=r'split_test\.txt: video "w9" is not in gt\.json'):
        read_per_video(tmp_path)


BAD_META = {
    '"classes" is 3': {"classes": 3},
    "label 3 is not a class name": {"classes": [3]},
}


@pytest.mark.parametrize("sentence", BAD_META)
def test_a_bad_meta_file_is_named(tmp_path, sentence):
    with pytest.raises(InputError, match=rf"meta\.json: {sentence}"):
        read_per_video(write_per_video(tmp_path, make_examples(), meta=BAD_META[sentence]))


@pytest.mark.parametrize("rate", [0, "4", float("inf")])
def test_a_bad_rate_is_named(tmp_path, rate):
    write_per_video(tmp_path, make_examples(), meta={"snippets_per_second": rate})
    with pytest.raises(InputError, match=rf"meta\.json: snippets_per_second is {rate!r}, expected a positive number"):
        read_per_video(tmp_path)


def repeat_class(folder: Path) -> None:
    (folder / "meta.json").write_text('{"snippets_per_second": 1, "classes": ["Run", "Jump", "Run"]}')


def list_again(split: str, name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with (folder / f"split_{split}.txt").open("a") as file:
            file.write(f"{name}\n")
        save(folder / "features" / split / f"{name}.npy", np.ones((3, 6)))

    return write


BAD_FILES = {
    r'meta\.json: class "Run" occurs 2 times, expected once': repeat_class,
    r'split_train\.txt: video "v1" occurs 2 times, expected once': list_again("train", "v1"),
    r'split_test\.txt: video "v1" is also in .*split_train\.txt, expected in one': list_again("test", "v1"),
    r"split_test\.txt: holds no test videos, expected at least one": lambda folder: (
        folder / "split_test.txt"
    ).write_text(""),
    r'label "Fly" is not among the 2 classes of .*meta\.json': lambda folder: (folder / "gt.json").write_text(
        (folder / "gt.json").read_text().replace("Jump", "Fly")
    ),
}


@pytest.mark.parametrize("sentence", BAD_FILES)
def test_what_is_checked_across_files_names_one(tmp_path, sentence):
    BAD_FILES[sentence](write_per_video(tmp_path, make_examples()))
    with pytest.raises(InputError, match=sentence):
        check_source(read_per_video(tmp_path))


# Errors in the files of the joint layout.


def test_the_two_parts_of_the_joint_layout_must_be_there_once(tmp_path):
    folder = write_joint(tmp_path, make_examples())
    (folder / "Small-I3D-JOINTFeatures.npy").unlink()
    with pytest.raises(InputError, match=r"one \*-I3D-JOINTFeatures\.npy, found none"):
        read_joint(folder)
    (folder / "Other-Annotations").mkdir()
    with pytest.raises(InputError, match=r"one \*-Annotations, found Other-Annotations, Small-Annotations"):
        read_joint(folder)


BAD_COLUMNS = {
    r"labels\.npy: holds shape \(2,\), but duration\.npy has 5 videos": ("labels", ragged([[], []])),
    r'videoname\.npy, train subset: video "v" occurs 2 times': ("videoname", np.array(["v", "v", "a", "b", "c"])),
    r'video "v3": 3 segments but 1 segment labels': ("labels", ragged([["Run"]] * 5)),
    r'video "v3": duration .*nan.* is not a positive number': ("duration", np.full(5, np.nan)),
    r'video "v3": segment 7 is not a pair': ("segments", ragged([[7, 7, 7]] * 5)),
    r'video "v3": label 1 is not a class name': ("labels_all", ragged([[1]] * 5)),
    r"labels_all\.npy: holds None, expected a list for every video": ("labels_all", ragged([None] * 5)),
    r"segments\.npy: holds .*0\.5.*, expected a list for every video": ("segments", np.full(5, 0.5)),
    r'classlist\.npy: class "Run" occurs 2 times': ("classlist", np.array([b"Run", b"Run"])),
}


@pytest.mark.parametrize("sentence", BAD_COLUMNS)
def test_bad_columns_are_named(tmp_path, sentence):
    folder = write_joint(tmp_path, make_examples())
    field, column = BAD_COLUMNS[sentence]
    np.save(folder / "Small-Annotations" / f"{field}.npy", column, allow_pickle=True)
    with pytest.raises(InputError, match=sentence):
        check_source(read_joint(folder))


def test_features_and_annotations_must_be_of_the_same_videos(tmp_path):
    folder = write_joint(tmp_path, make_examples())
    np.save(folder / "Small-I3D-JOINTFeatures.npy", ragged([np.zeros((2, 6))] * 4), allow_pickle=True)
    with pytest.raises(InputError, match=r"JOINTFeatures\.npy: holds shape \(4,\), but .* has 5 videos"):
        read_joint(folder)
