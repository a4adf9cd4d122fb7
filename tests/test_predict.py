"""What launch.predict writes and where its inputs come from, without a network."""

import csv
import io
import json
import types
from pathlib import Path

import numpy as np
import pytest

from tests.training.small import CLASSES
from tsc_jax import predict
from tsc_jax.data.clock import Clock
from tsc_jax.errors import InputError, InputWarning
from tsc_jax.evaluation.evaluate import Localized
from tsc_jax.files import write_text
from tsc_jax.localization.segments import make_segments
from tsc_jax.report import lists
from tsc_jax.video import decode, extract


def localized_in(names, labels=("run",)):
    """Inputs of these names, and one segment of each class in each of them."""
    inputs = [predict.Input(name, 4, 2.0, lambda: np.zeros((4, 3))) for name in names]
    videos, classes = (index.ravel() for index in np.indices((len(names), len(labels))))
    segments = make_segments(videos, classes, videos * 0, videos * 0 + 1, videos * 0 + 0.5)
    outputs = [{"cas": np.zeros((4, len(labels) + 1)), "attention": np.zeros(4)}] * len(names)
    return inputs, Localized(segments, outputs, np.arange(len(names)), np.zeros((len(names), len(labels))))


def csv_of(names, labels):
    return lists.as_csv(names, localized_in(names, labels)[1].segments, labels)


PLAIN = ["a, b", 'say "x"', "two\nlines", "-aB_3-x", "é", "x=1", "'quoted'", "a\r=1"]
FORMULAS = ['=HYPERLINK("http://x","y")', "+1", "@SUM(1)", "-1+cmd|' /C calc'!A0", "\t=1", "\r=1"]


def test_the_csv_holds_any_name_and_no_formula():
    text = csv_of([*PLAIN, *FORMULAS], ["run", "=1+1"])
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in rows[::2]] == [*PLAIN, *(f"'{name}" for name in FORMULAS)]
    assert {row[1] for row in rows} == {"run", "'=1+1"}


def test_a_name_that_is_no_utf8_is_written_all_the_same():
    csv_of(["caf\udce9"], ["run"]).encode()


LOCALIZER = types.SimpleNamespace(
    classes=("run",), width=1024, snippets_per_second=25 / 16, trained=types.SimpleNamespace(selection="last", step=3),
    clock=Clock(25 / 16), directory=Path(), check=lambda features, origin: features,
    extractor=extract.account("float32"),
)  # fmt: skip


def test_a_video_without_pictures_is_an_input_all_the_same(tmp_path, monkeypatch):
    def fail(path, number):
        raise InputError(f"{path}: cannot be decoded (Operation not permitted)")

    monkeypatch.setattr(extract, "make_extractor", lambda dtype: lambda path, progress: np.zeros((4, 1024), np.float32))
    monkeypatch.setattr(decode, "thumbnails", fail)
    inputs, failures = predict.open_inputs([tmp_path / "a.mpg"], LOCALIZER)
    assert ([each.name for each in inputs], failures) == (["a"], [])
    assert inputs[0].duration == LOCALIZER.clock.seconds(4)
    predict.write_report(tmp_path / "page.html", *localized_in(["a"]), {}, LOCALIZER)
    assert inputs[0].thumbnails() == []


def test_the_page_names_the_run_wherever_the_command_is_started(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path / "demo")
    predict.write_report(tmp_path / "page.html", *localized_in(["a"]), {}, LOCALIZER)
    assert "<title>demo: last, step 3</title>" in (tmp_path / "page.html").read_text()


def test_a_video_is_extracted_as_the_training_videos_were(tmp_path, monkeypatch):
    made = []

    def make(dtype):
        made.append(dtype)
        return lambda path, progress: np.ones((2, 1024))

    monkeypatch.setattr(extract, "make_extractor", make)
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for known, given, expected in [("bfloat16", None, "bfloat16"), ("float32", None, "float32"), ("bfloat16",) * 3]:
        run = types.SimpleNamespace(**vars(LOCALIZER) | {"extractor": extract.account(known)})
        assert len(predict.open_inputs(files, run, given)[0]) == 2
        assert made.pop() == expected and not made


FOREIGN = [
    ({"name": "CLIP ViT-L/14", "dtype": "float16"}, None),
    ({"name": "CLIP ViT-L/14"}, "float32"),
    ("VideoMAE", None),
    (["I3D"], None),
    (extract.account("float32") | {"weights_sha256": "0"}, None),
    (extract.account("float16"), None),
    (extract.account("float32"), "bfloat16"),
]


@pytest.mark.parametrize(("known", "dtype"), FOREIGN)
def test_a_video_is_refused_by_a_network_for_other_features(tmp_path, monkeypatch, known, dtype):
    monkeypatch.setattr(extract, "make_extractor", lambda dtype: pytest.fail("features are made in vain"))
    run = types.SimpleNamespace(**vars(LOCALIZER) | {"extractor": known, "directory": Path("runs/clip")})
    inputs, failures = predict.open_inputs([tmp_path / "a.mp4", tmp_path / "b.mp4"], run, dtype)
    assert (inputs, len(failures)) == ([], 2)
    assert failures[0].startswith(f"{tmp_path / 'a.mp4'}: is a video, but runs/clip was trained on features of")


def test_an_unknown_extractor_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "make_extractor", lambda dtype: lambda path, progress: np.ones((2, 1024)))
    run = types.SimpleNamespace(**vars(LOCALIZER) | {"extractor": None})
    with pytest.warns(InputWarning, match="does not say which extractor") as told:
        inputs, failures = predict.open_inputs([tmp_path / "a.mp4", tmp_path / "b.mp4"], run)
    assert (len(inputs), failures, len(told)) == (2, [], 1)


def test_times_over_an_hour_have_hours():
    times = {0: "0:00.0", 75.24: "1:15.2", 3599.96: "1:00:00.0", 3601.5: "1:00:01.5", 50_000: "13:53:20.0"}
    assert {seconds: lists.clock(seconds) for seconds in times} == times


def test_a_file_of_another_kind_is_taken_for_a_video(tmp_path):
    narrow = types.SimpleNamespace(**vars(LOCALIZER) | {"width": 96})
    (failure,) = predict.open_inputs([tmp_path / "a.pt"], narrow)[1]
    assert failure.startswith(f"{tmp_path / 'a.pt'}: ")
    assert all(fact in failure for fact in (".npy", "video", "width 1024", "width 96"))


def test_an_output_that_cannot_be_written_costs_no_other(tmp_path):
    flags = [types.SimpleNamespace(name="csv", value=value) for value in ("/proc/none/a", None, str(tmp_path / "b"))]
    told = [predict.written(flag, lambda path: write_text(path, "text")) for flag in flags]
    assert told == [["--csv /proc/none/a: cannot be written (No such file or directory)"], [], []]
    assert (tmp_path / "b").read_text() == "text"


def test_ground_truth_of_other_classes_is_refused_where_it_matters(tmp_path):
    annotations = [{"label": "sleep", "segment": [1, 2]}]
    (tmp_path / "gt.json").write_text(json.dumps({"database": {"a": {"subset": "x", "annotations": annotations}}}))
    assert predict.read_truth(tmp_path / "gt.json", CLASSES, ["b"]) == {}
    with pytest.raises(InputError, match='video "a": the checkpoint has no class "sleep"'):
        predict.read_truth(tmp_path / "gt.json", CLASSES, ["a"])
