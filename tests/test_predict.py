"""What launch.predict writes and where its inputs come from, without a network."""

import csv
import io
import types
from pathlib import Path

import numpy as np

from tsc_jax import predict
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import Localized
from tsc_jax.localization.segments import make_segments
from tsc_jax.video import decode, extract


def localized_in(names, labels=("run",)):
    """Inputs of these names, and one segment of each class in each of them."""
    inputs = [predict.Input(name, 4, 2.0, lambda: np.zeros((4, 3))) for name in names]
    videos, classes = (index.ravel() for index in np.indices((len(names), len(labels))))
    segments = make_segments(videos, classes, videos * 0, videos * 0 + 1, videos * 0 + 0.5)
    outputs = [{"cas": np.zeros((4, len(labels) + 1)), "attention": np.zeros(4)}] * len(names)
    return inputs, Localized(segments, outputs, np.arange(len(names)), np.zeros((len(names), len(labels))))


def csv_of(names, labels):
    inputs, localized = localized_in(names, labels)
    return predict.as_csv(inputs, localized.segments, labels)


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
    directory=Path(), check=lambda features, origin: features,
)  # fmt: skip


def test_a_video_without_pictures_is_an_input_all_the_same(tmp_path, monkeypatch):
    def fail(path, number):
        raise InputError(f"{path}: cannot be decoded (Operation not permitted)")

    monkeypatch.setattr(extract, "make_extractor", lambda dtype: lambda path: np.zeros((4, 1024), np.float32))
    monkeypatch.setattr(decode, "thumbnails", fail)
    inputs, failures = predict.open_inputs([tmp_path / "a.mpg"], LOCALIZER)
    assert ([each.name for each in inputs], failures) == (["a"], [])
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
        return lambda path: np.ones((2, 1024))

    monkeypatch.setattr(extract, "make_extractor", make)
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    assert len(predict.open_inputs(files, LOCALIZER, "bfloat16")[0]) == 2
    assert made == ["bfloat16"]


def test_a_file_of_another_kind_is_taken_for_a_video(tmp_path):
    narrow = types.SimpleNamespace(**vars(LOCALIZER) | {"width": 96})
    (failure,) = predict.open_inputs([tmp_path / "a.npz"], narrow)[1]
    assert failure.startswith(f"{tmp_path / 'a.npz'}: ")
    assert all(fact in failure for fact in (".npy", "video", "width 1024", "width 96"))
