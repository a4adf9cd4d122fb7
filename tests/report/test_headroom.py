"""launch.headroom: the numbers of runs and results files, the file that it writes, the flags that it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.small import small_run
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.diagnosis import GROUPS
from tsc_jax.evaluation.evaluate import ground_truth
from tsc_jax.evaluation.headroom import MISSING, SHARES, STEPS
from tsc_jax.report import headroom
from tsc_jax.report.run import report
from tsc_jax.training.loop import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_the_headroom_of_a_run_agrees_with_its_metrics(run):
    report(run, {})
    text = headroom.of_runs(run, "last", {})
    content = json.loads((run / "headroom.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    for key in ("protocol", "tiou", "step", "selection", "mAP"):
        assert content[key] == metrics[key]
    assert list(content["lost"]) == [*STEPS, MISSING]
    lost = content["lost"]
    np.testing.assert_allclose(np.sum([content["mAP"], lost["ranking"], lost[MISSING]], axis=0), 100)
    assert list(content["pseudo_labels"]) == [f"{share:g} of the best" for share in SHARES]
    for quality in content["pseudo_labels"].values():
        assert all(len(values) == len(content["tiou"]) for values in quality.values())
        assert 0 < max(quality["recall"]) <= 100
    missed = content["missed"]
    assert missed["tiou"] == 0.5 and missed.keys() == {"tiou", *GROUPS}
    counted = [sum(each["instances"] for each in missed[name].values()) for name in GROUPS]
    assert counted[0] == counted[1] > 0
    for row in ("as it is", *(f"lost by {step}" for step in lost), "0.5 of the best: f1"):
        assert f"\n{row} " in text


def test_another_selection_and_protocol(run):
    headroom.of_runs(run, "best_on_test", {"eval.protocol": "seconds", "eval.tiou": "0.5"})
    content = json.loads((run / "best_on_test" / "headroom.json").read_text())
    assert (content["selection"], content["protocol"], content["tiou"]) == ("best on test", "seconds", [0.5])
    assert not (run / "headroom.json").exists()
    with pytest.raises(InputError, match="best_on_holdout"):
        headroom.of_runs(run, "best_on_holdout", {})


def test_without_training_segments_there_are_no_pseudo_labels(run, data_dir, monkeypatch):
    dataset = open_dataset(data_dir, "made_up")
    without = dataset.train.select([])
    assert len(ground_truth(dataset.train)) > 0
    original = headroom.with_dataset

    def no_training_segments(trained, changes):
        trained, dataset = original(trained, changes)
        object.__setattr__(dataset, "train", without)
        return trained, dataset

    monkeypatch.setattr(headroom, "with_dataset", no_training_segments)
    text = headroom.of_runs(run, "last", {})
    assert "pseudo labels" not in text
    assert "pseudo_labels" not in json.loads((run / "headroom.json").read_text())


@pytest.mark.slow
def test_each_of_several_seeds_gets_its_own(data_dir, tmp_path):
    train(small_run(data_dir, **{"train.seeds": 2, "train.steps": 3}), tmp_path)
    text = headroom.of_runs(tmp_path, "last", {})
    assert text.count("lost by ranking") == 2
    assert (tmp_path / "seed_0" / "headroom.json").exists() and (tmp_path / "seed_1" / "headroom.json").exists()


@pytest.fixture
def files(tmp_path):
    predictions, ground_truth_file = tmp_path / "p.json", tmp_path / "g.json"
    rows = [{"label": "run", "segment": [6, 8], "score": 0.9}, {"label": "jump", "segment": [1, 5], "score": 0.8}]
    annotations = [{"label": "jump", "segment": [1, 5]}, {"label": "run", "segment": [10, 12]}]
    predictions.write_text(json.dumps({"results": {"v": rows}}))
    ground_truth_file.write_text(json.dumps({"database": {"v": {"subset": "test", "annotations": annotations}}}))
    return [f"--predictions={predictions}", f"--ground_truth={ground_truth_file}"]


def launch(*arguments):
    command = [sys.executable, "-m", "launch.headroom", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_results_file(files, tmp_path):
    done = launch(*files, "--tiou=0.5", f"--out={tmp_path / 'h.json'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith(("as it", "lost by miss"))] == [
        "50.0", "50.0",
    ]  # fmt: skip
    content = json.loads((tmp_path / "h.json").read_text())
    assert (content["mAP"], content["lost"][MISSING], content["protocol"]) == ([50.0], [50.0], "seconds")
    assert content["missed"] == {  # the file gives no durations, so there is no coverage
        "tiou": 0.5,
        "instances per video": {
            name: {"missed": int(name == "XS: 1"), "instances": 2 * (name == "XS: 1")}
            for name in GROUPS["instances per video"]
        },
    }
    assert content["pseudo_labels"] == {"all": {"precision": [50.0], "recall": [50.0], "f1": [50.0]}}


REFUSED = {
    "--predictions is missing": [],
    "--ground_truth is missing": ["--predictions=p.json"],
    "--selection does not go with --predictions": ["FILES", "--selection=last"],
    "--out does not go with --workdir": ["--workdir=runs/none", "--out=h.json"],
    "--out /nowhere/h.json: its folder does not exist": ["FILES", "--out=/nowhere/h.json"],
    "runs/none: holds no checkpoint 'last'": ["--workdir=runs/none"],
    "the tIoU thresholds are '2'": ["FILES", "--tiou=2"],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_wrong_is_one_sentence(files, sentence):
    done = launch(*(each for flag in REFUSED[sentence] for each in (files if flag == "FILES" else [flag])))
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr and done.stderr.count("\n") == 1
