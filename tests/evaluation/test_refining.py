"""launch.refine: the steps in their order, the file that it writes, and the flags that it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import thumos14
from tsc_jax.errors import InputError
from tsc_jax.evaluation.refining import Steps, refine, refine_file
from tsc_jax.evaluation.results import read_all_predictions
from tsc_jax.localization.density import by_density
from tsc_jax.localization.fusion import gaussian_fusion, ricker_fusion
from tsc_jax.localization.nms import hard_nms, soft_nms
from tsc_jax.localization.segments import make_segments

ROOT = Path(__file__).resolve().parents[2]
SEGMENTS = make_segments(
    [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 1, 8, 0, 3], [10, 11, 12, 9, 5], [0.9, 0.5, 0.1, 0.2, 0.7]
)


def equal(one, other):
    for name, column in vars(one).items():
        np.testing.assert_array_equal(column, vars(other)[name])


STEPS = {
    Steps(density=0.5): lambda s: by_density(s, 0.5),
    Steps(density=0.5, soft_nms=0.3): lambda s: soft_nms(by_density(s, 0.5), 0.3, pixels=False),
    Steps(soft_nms=0.3, pixels=True): lambda s: soft_nms(s, 0.3, pixels=True),
    Steps(hard_nms=0.2, pixels=True): lambda s: hard_nms(s, 0.2, pixels=True),
    Steps(fusion="gaussian", cover=0.1, temperature=2.0, relative=False): lambda s: gaussian_fusion(
        s, cover=0.1, temperature=2.0, relative=False
    ),
    Steps(density=1.0, fusion="ricker"): lambda s: ricker_fusion(by_density(s, 1.0)),
    Steps(min_share=0.5): lambda s: s[np.array([0, 1, 3, 4])],
    Steps(min_score=0.5): lambda s: s[np.array([0, 1, 4])],
    Steps(min_share=0.6, min_score=0.3): lambda s: s[np.array([0, 4])],
}


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_the_steps_are_taken_in_their_order(steps):
    equal(refine(SEGMENTS, steps), STEPS[steps](SEGMENTS))


@pytest.fixture
def files(tmp_path):
    """A results file whose third video the ground truth does not know, and the ground truth."""
    predictions, ground_truth = tmp_path / "p.json", tmp_path / "g.json"
    rows = [
        {"label": "jump", "segment": ["1.0", "5.0"], "score": "0.9"},
        {"label": "jump", "segment": [1.5, 5.5], "score": 0.8},
    ]
    other = [{"label": "juggle", "segment": [0, 1], "score": 1}]
    predictions.write_text(json.dumps({"results": {"v": rows, "empty": [], "unknown": other}}))
    annotations = [{"label": "jump", "segment": [1, 5]}]
    ground_truth.write_text(json.dumps({"database": {"v": {"subset": "test", "annotations": annotations}}}))
    return predictions, ground_truth


def launch(*arguments):
    command = [sys.executable, "-m", "launch.refine", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_a_file_and_shows_before_and_after(files, tmp_path):
    predictions, ground_truth = files
    out = tmp_path / "q.json"
    done = launch(
        f"--predictions={predictions}", f"--out={out}", f"--ground_truth={ground_truth}", "--hard_nms=0.5",
        "--tiou=0.5,0.75",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{out}: 2 predictions of 3"
    cells = [line.split() for line in lines if line.startswith(("before", "after"))]
    assert cells[0] == ["before", "100.0", "100.0", "100.0"]
    assert cells[1] == ["after", "100.0", "100.0", "100.0", "+0.00"]
    assert cells[2] == ["before", "66.7", "66.7", "66.7"]
    assert cells[3] == ["after", "100.0", "100.0", "100.0", "+33.33"]
    segments, videos, classes = read_all_predictions(out)
    assert (videos, classes) == (("v", "empty", "unknown"), ("juggle", "jump"))
    equal(segments, make_segments([0, 2], [1, 0], [1, 0], [5, 1], [0.9, 1]))


REFUSED = {
    "--soft_nms is 0.0, expected a number above 0": ["--soft_nms=0"],
    "--density is nan, expected 0 or more": ["--density=nan"],
    "nothing to do: give one of --density": [],
    "found --soft_nms and --fusion, expected at most one": ["--soft_nms=0.3", "--fusion=ricker"],
    "--pixels needs --soft_nms or --hard_nms": ["--density=1", "--pixels"],
    "--temperature needs --fusion=gaussian": ["--fusion=ricker", "--temperature=1"],
    "--tiou needs --ground_truth": ["--density=1", "--tiou=0.5"],
    "--out /nowhere/q.json: its folder does not exist": ["--density=1", "--out=/nowhere/q.json"],
    "--predictions": ["--density=1", "--predictions"],
    "nowhere.json: no such file": ["--density=1", "--predictions=nowhere.json"],
    "missing.json: no such file": ["--density=1", "--ground_truth=missing.json"],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(files, tmp_path, sentence):
    out = tmp_path / "q.json"
    done = launch(f"--predictions={files[0]}", f"--out={out}", *REFUSED[sentence])
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.json", "p.json"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"results": {"v": [{"label": 3, "segment": [0, 1], "score": 1}]}}, "label 3 is not a class name"),
        ({"results": {"v": [{"label": "jump", "segment": [0], "score": 1}]}}, "expected a list of"),
        ({"results": {"v": 7}}, "expected a list of"),
        ({"results": {"v": [{"label": "jump", "segment": [2, 1], "score": 1}]}}, "ends before it starts"),
        ({"version": 1}, "expected ActivityNet's form"),
    ],
)
def test_a_bad_file_is_said(tmp_path, content, sentence):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=sentence):
        refine_file(path, tmp_path / "q.json", Steps(density=1.0))
    assert not (tmp_path / "q.json").exists()


def rows_of_page() -> dict[str, list[float]]:
    """The numbers of each row of the tables in docs/thumos14-proposals.md by its flags."""
    text = (ROOT / "docs" / "thumos14-proposals.md").read_text()
    rows = re.findall(r"^\| `(--[^`]*)` \|(.*)\|$", text, re.MULTILINE)
    return {flags: [float(cell) for cell in cells.split("|")] for flags, cells in rows}


@pytest.mark.slow
@pytest.mark.parametrize("row", rows_of_page())
def test_the_page_on_real_detections_shows_what_the_command_prints(shared, tmp_path, row):
    thumos14.write_ground_truth(shared, tmp_path / "g.json")
    done = launch(
        f"--predictions={thumos14.proposals_file(shared)}", f"--out={tmp_path / 'q.json'}",
        f"--ground_truth={tmp_path / 'g.json'}", "--tiou=0.1:0.7:0.1", *row.split(),
    )  # fmt: skip
    lines = done.stdout.splitlines()
    number = int(re.search(r"(\d+) predictions of 33895", lines[0])[1])
    before, mean_ap, _, f1 = ([float(cell) for cell in line.split()[1:8]] for line in lines if line[:2] in ("be", "af"))
    mean = float(next(line for line in lines if line.startswith("after")).split()[-2])
    assert before[0] == 17.1
    labels = "min_" in row
    shown = [number, f1[2], f1[4], f1[6], mean] if labels else [mean_ap[0], mean_ap[2], mean_ap[4], mean_ap[6], mean]
    np.testing.assert_allclose(rows_of_page()[row], shown, atol=0.11)
