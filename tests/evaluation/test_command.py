"""Runs launch.evaluate without a model, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def evaluate(*arguments):
    command = [sys.executable, "-m", "launch.evaluate", *map(str, arguments)]
    return subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def files(tmp_path):
    ground_truth, predictions = tmp_path / "g.json", tmp_path / "p.json"
    annotations = [{"label": "jump", "segment": ["1.0", "5.0"]}]
    ground_truth.write_text(json.dumps({"database": {"v": {"subset": "test", "annotations": annotations}}}))
    predictions.write_text(json.dumps({"results": {"v": [{"label": "jump", "segment": [1, 5], "score": 1}]}}))
    return "--predictions", predictions, "--ground_truth", ground_truth


def test_scores_a_file(files):
    result = evaluate(*files, "--tiou", "0.1:0.7:0.1", "--all-protocols")
    assert result.returncode == 0, result.stderr
    assert "seconds" in result.stdout
    assert "published" in result.stdout


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--tiou", "2"], "tIoU"),
        (["--protocol", "x"], "--protocol"),
        (["--predictions", "nowhere"], "nowhere: no such"),
    ],
)
def test_wrong_input_ends_with_one_sentence(files, wrong, sentence):
    result = evaluate(*files, *wrong)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert len(result.stderr.strip().split("\n")) == 1


@pytest.mark.parametrize(
    "flag", ["--subset=validation", "--all_protocols", "--snippets_per_second=2", "--ambiguous=a.txt"]
)
def test_flags_that_a_run_does_not_use_are_refused(flag):
    result = evaluate("--workdir=runs/none", flag)
    assert result.returncode == 1
    assert result.stderr.startswith(flag.split("=")[0]) and "does not go with --workdir" in result.stderr
