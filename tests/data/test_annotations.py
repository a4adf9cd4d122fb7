"""Readers of annotations: published counts, and one clear sentence per error."""

import json
from collections import Counter

import pytest

from tsc_jax.data import annotations
from tsc_jax.data.source import sound
from tsc_jax.errors import InputError, stop

PUBLISHED = {  # videos and segments of each subset
    "Thumos14reduced-Annotations": {"validation": (200, 3007), "test": (212, 3358)},
    "thumos14_gt_210_videos.json": {"train": (200, 3007), "test": (210, 3311)},
    "thumos14_gt_212_videos.json": {"validation": (200, 3007), "test": (212, 3358)},
    "ActivityNet1.2-Annotations": {"training": (4819, 7151), "validation": (2383, 3582)},
    "activity_net.v1-2.min.json": {"training": (4819, 7151), "validation": (2383, 3582), "testing": (2480, 0)},
    "activitynet13_gt.json": {"training": (9649, 14859), "validation": (4926, 7654), "testing": (4851, 0)},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_public_annotations_give_the_published_counts(shared, name):
    path = shared / "annotations" / name
    annotated = annotations.read_json(path) if path.suffix == ".json" else annotations.read_npy_folder(path)
    videos = Counter(video.subset for video in annotated)
    segments = Counter(video.subset for video in annotated for _ in video.segments)
    assert {subset: (videos[subset], segments[subset]) for subset in videos} == PUBLISHED[name]
    classes = {label for video in annotated for label in video.segment_labels}
    assert len(classes) == (20 if "humos" in name else 200 if "13" in name else 100)
    if path.is_dir():
        assert set(annotations.read_classes(path / "classlist.npy")) == classes


def entry(**changes) -> str:
    return json.dumps({"database": {"v": {"subset": "test", "annotations": []} | changes}})


def instance(segment, label="Run") -> str:
    return entry(annotations=[{"segment": segment, "label": label}])


BAD_JSON = {
    "not JSON": '{"database": ',
    "holds a list, expected a JSON object": "[]",
    'has no object "database"': '{"videos": {}}',
    'key "v" occurs 2 times': '{"database": {"v": {}, "v": {}}}',
    r'video "v": expected \{"subset"': '{"database": {"v": {"annotations": [{"label": "Run"}]}}}',
    r"segment \[1\] is not a pair": instance([1]),
    r"segment \['1', 'x'\] is not a pair": instance(["1", "x"]),
    r"segment \[2, 1\] is not finite or ends before it starts": instance([2, 1]),
    r"segment \[0, nan\] is not finite": instance([0, float("nan")]),
    "label None is not a class name": instance([0, 1], None),
    "duration -1 is not a positive number": entry(duration=-1),
    "duration 'long' is not a positive number": entry(duration="long"),
}


@pytest.mark.parametrize("sentence", BAD_JSON)
def test_bad_annotations_are_named(tmp_path, sentence):
    (tmp_path / "gt.json").write_text(BAD_JSON[sentence])
    with pytest.raises(InputError, match=rf"gt\.json.*{sentence}"):
        sound(annotations.read_json(tmp_path / "gt.json"), stop)


def test_segments_may_be_strings_and_of_zero_length_and_durations_unknown(tmp_path):
    (tmp_path / "gt.json").write_text(instance(["18.6", "18.6"]))
    (video,) = annotations.read_json(tmp_path / "gt.json")
    assert video.segments == ((18.6, 18.6),) and video.duration is None and video.labels == ("Run",)
