"""Reads and writes files in ActivityNet's form; computes metrics and their table."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.protocols import parse_tious
from tsc_jax.localization.segments import make_segments

VIDEOS, CLASSES = ("v0", "v1", "v2"), ("jump", "run")


def random_segments(seed, count):
    rng = np.random.default_rng(seed)
    start = rng.random(count) * 100
    video = np.sort(rng.integers(0, 3, count))
    return make_segments(video, rng.integers(0, 2, count), start, start + rng.random(count), rng.normal(size=count))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_predictions_read_back_as_they_were(tmp_path_factory, seed, count):
    path = tmp_path_factory.mktemp("results") / "predictions.json"
    segments = random_segments(seed, count)
    results.write_predictions(path, segments, VIDEOS, CLASSES)
    restored, names = results.read_predictions(path, VIDEOS, CLASSES)
    assert names == VIDEOS
    for column in ("video", "label", "start", "end", "score"):
        np.testing.assert_array_equal(getattr(restored, column), getattr(segments, column))
    assert [each.name for each in path.parent.iterdir()] == ["predictions.json"]
    before, after = (
        average_precisions(random_segments(seed + 1, 20), each, [0.1, 0.5], 2) for each in (segments, restored)
    )
    np.testing.assert_array_equal(before, after)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    results.write_json(path, {"mAP": 1.0})
    with pytest.raises(ValueError, match="Out of range float"):
        results.write_json(path, {"mAP": float("nan")})
    assert json.loads(path.read_text()) == {"mAP": 1.0}
    assert len(list(tmp_path.iterdir())) == 1


def test_times_may_be_strings_and_other_videos_are_skipped(tmp_path):
    path = tmp_path / "p.json"
    entry = {"label": "run", "segment": ["1.5", 2], "score": "0.25"}
    path.write_text(json.dumps({"results": {"other": [entry], "v1": [entry], "v0": []}}))
    restored, names = results.read_predictions(path, VIDEOS, CLASSES)
    assert names == ("other", "v1", "v0")
    assert (restored.video, restored.label, restored.start, restored.end, restored.score) == (1, 1, 1.5, 2, 0.25)


GOOD = {"label": "run", "segment": [1, 2], "score": 0.5}
WRONG = [
    GOOD | {"label": "fly"},
    GOOD | {"label": ["run"]},
    GOOD | {"segment": [1, 2, 3]},
    GOOD | {"segment": [2, 1]},
    GOOD | {"segment": 1},
    GOOD | {"score": None},
    GOOD | {"score": "nan"},
    {"label": "run", "segment": [1, 2]},
    "run",
]


@pytest.mark.parametrize("entry", WRONG, ids=str)
def test_wrong_predictions_are_named(tmp_path, entry):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"results": {"v1": [GOOD, entry]}}))
    with pytest.raises(InputError, match=r'p\.json, video "v1"'):
        results.read_predictions(path, VIDEOS, CLASSES)


@pytest.mark.parametrize("content", ["[]", "{}", '{"results": []}', '{"results": {"v1": 3}}', "{", "\xff"])
def test_wrong_files_are_named(tmp_path, content):
    path = tmp_path / "p.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"p\.json"):
        results.read_predictions(path, VIDEOS, CLASSES)
    with pytest.raises(InputError, match=r"p\.json"):
        results.read_ground_truth(path)
    with pytest.raises(InputError, match=r"none\.json"):
        results.read_predictions(tmp_path / "none.json", VIDEOS, CLASSES)


def test_thumos_annotations(shared):
    by_list = {212: (212, 3358), 210: (210, 3311)}
    for videos, counts in by_list.items():
        truth = results.read_ground_truth(shared / "annotations" / f"thumos14_gt_{videos}_videos.json")
        assert (len(truth.videos), len(truth.segments)) == counts
        assert len(truth.classes) == 20
        assert np.isnan(truth.durations).all() == (videos == 210)


def test_activitynet_annotations(shared):
    truth = results.read_ground_truth(shared / "annotations" / "activity_net.v1-2.min.json")
    assert (truth.subset, len(truth.videos), len(truth.segments)) == ("validation", 2383, 3582)
    truth = results.read_ground_truth(shared / "annotations" / "activity_net.v1-2.min.json", "training")
    assert (len(truth.videos), len(truth.classes)) == (4819, 100)


def test_an_absent_subset_is_refused(tmp_path):
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"database": {"v": {"subset": "train", "annotations": []}}}))
    for subset, expected in ((None, "test or validation"), ("testing", "testing")):
        with pytest.raises(InputError, match=rf"\['train'\], expected {expected}"):
            results.read_ground_truth(path, subset)


def test_metrics_of_one_evaluation():
    metrics = results.make_metrics("seconds", [0.1, 0.5, 0.9], np.array([30.0, 20.0, 4.0]), 60.0, step=7)
    assert json.loads(json.dumps(metrics)) == {
        "protocol": "seconds",
        "tiou": [0.1, 0.5, 0.9],
        "mAP": [30.0, 20.0, 4.0],
        "average_mAP": {"0.1:0.5": 25.0, "all": 18.0},
        "classification_mAP": 60.0,
        "step": 7,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1:0.9:0.1", {"0.1:0.5": 3, "0.1:0.7": 4, "all": 5}),
        ("0.1:0.7:0.1", {"0.1:0.5": 3, "0.1:0.7": 4, "all": 4}),
        ("0.3:0.7:0.1", {"all": 3}),  # starts above 0.1
        ("0.1:0.6:0.1", {"0.1:0.5": 3, "all": 3.5}),  # ends below 0.7
        ("0.1,0.5,0.8", {"0.1:0.5": 1.5, "all": 2}),  # passes 0.7 without evaluating it
        ("0.5:0.95:0.05", {"0.5:0.95": 5.5, "all": 5.5}),  # ActivityNet
        ("0.5,0.75", {"all": 1.5}),
        ("0.7", {"all": 1}),
    ],
)
def test_an_average_is_given_only_where_both_its_ends_are_evaluated(text, expected):
    tious = parse_tious(text)
    mean_ap = np.arange(1, len(tious) + 1, dtype=float)
    assert results.averages(tious, mean_ap) == pytest.approx(expected)
    header = results.table(tious, {"ours": mean_ap}).split("\n")[0].split()
    assert header[-len(expected) :] == list(expected)
    assert len(header) == 4 + len(tious) + len(expected)


def test_table():
    rows = {"ours": np.array([30.0, 20.04, 4.0]), "floor": np.array([3.0, 2.0, 1.0])}
    lines = results.table([0.1, 0.5, 0.9], rows, baseline="ours").split("\n")
    assert [line.split() for line in lines[2:]] == [
        ["ours", "30.0", "20.0", "4.0", "25.0", "18.0"],
        ["floor", "3.0", "2.0", "1.0", "2.5", "2.0", "-16.01"],
    ]


def test_ground_truth_needs_no_subset_and_ignores_what_is_wrong_with_other_videos(tmp_path):
    path, entry = tmp_path / "gt.json", {"annotations": [{"segment": [1, 2], "label": "run"}]}
    spoilt = {"annotations": [{"segment": [2, 1], "label": "run"}]}
    path.write_text(json.dumps({"database": {"a": entry, "b": {}}}))
    assert results.read_ground_truth(path).videos == ("a", "b")
    content = {"a ": entry | {"subset": "Test"}, "b": spoilt | {"subset": "training"}}
    path.write_text("\ufeff" + json.dumps({"database": content}))
    truth = results.read_ground_truth(path)
    assert (truth.subset, truth.videos, len(truth.segments)) == ("Test", ("a",), 1)
    with pytest.raises(InputError, match=r'video "b": segment \[2, 1\]'):
        results.read_ground_truth(path, "Training")
