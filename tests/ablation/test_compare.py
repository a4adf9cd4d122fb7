"""A comparison trains every method with the same seeds, resumes, reports failures, and its tables hold its numbers."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from configs import plus
from configs.common import base_section
from tests.training.small import self_train_run, small_run, toy_run
from tsc_jax.ablation import compare, compare_tables, grid
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.hardware import hardware
from tsc_jax.inference import make_inference
from tsc_jax.training.recipes import complete
from tsc_jax.training.trained import open_trained

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"train.steps": 2, "eval.holdout": 0.3}


def recipes(data_dir, **of_toy) -> dict:
    return {"tscnet": small_run(data_dir, **SHORT), "toy": toy_run(data_dir, **SHORT, **of_toy)}


def setting(**changes) -> compare_tables.Setting:
    values = {"data": "made_up", "protocol": "published", "test_videos": 7, "first_seed": 0, "seeds": 2}
    return compare_tables.Setting(**values | changes, hardware=hardware(), command="python -m launch.compare")


@pytest.fixture(scope="module")
def compared(data_dir, tmp_path_factory):
    """Workdir and results of a comparison."""
    workdir = tmp_path_factory.mktemp("compare") / "new"
    results = compare.compare(recipes(data_dir), workdir, 2, {})
    compare_tables.write(workdir, results, (), setting())
    return workdir, results


@pytest.mark.slow
def test_every_number_is_that_of_an_evaluation_and_of_numpy(compared, data_dir):
    workdir, _ = compared
    content, dataset = json.loads((workdir / "compare.json").read_text()), open_dataset(data_dir, "made_up")
    averages = {}
    for method in content["methods"]:
        mean_ap, scores = [], []
        for seed in (0, 1):
            trained = open_trained(workdir / method["method"] / f"seed_{seed}")
            inference = make_inference(trained.config, trained.sizes)
            evaluation = evaluate(inference, trained.variables, 2, dataset, dataset.test, trained.config)
            mean_ap.append(evaluation.metrics["mAP"])
            scores.append(evaluation.metrics["classification_mAP"])
            np.testing.assert_array_equal(method["floor"], evaluation.floor)
        np.testing.assert_array_equal(method["test"]["mAP"]["seeds"], mean_ap)
        assert method["test"]["classification_mAP"]["seeds"] == scores
        tious = np.array(method["tiou"])
        averages[method["method"]] = np.array(mean_ap)[:, tious <= 0.7].mean(axis=1)
        half = np.std(mean_ap, axis=0, ddof=1) / 2**0.5 * scipy.stats.t.ppf(0.975, 1)
        np.testing.assert_allclose(method["test"]["mAP"]["half_width"], half)
        np.testing.assert_allclose(method["test"]["mAP"]["mean"], np.mean(mean_ap, axis=0))
    change = content["methods"][1]["test"]["difference"]
    low, high = scipy.stats.ttest_rel(averages["toy"], averages["tscnet"]).confidence_interval(0.95)
    np.testing.assert_allclose(
        [change["mean"] - change["half_width"], change["mean"] + change["half_width"]], [low, high]
    )
    assert content["methods"][0]["test"]["difference"] is None and content["selection"] == "last"


@pytest.mark.slow
def test_markdown_csv_and_picture_agree_with_the_results(compared):
    workdir, results = compared
    text = (workdir / "compare.md").read_text()
    assert "selection: last" in text and hardware()["processor"] in text and "Held-out" in text
    for each in results:
        average = each.outcome.mean_ap["test"][:, :7].mean(axis=1)
        assert re.search(rf"^\| {each.method} \| {average.mean():.1f} ± ", text, re.MULTILINE)
        assert f"{each.parameters:,}" in text and len(each.training_seconds) == 2 and each.inference_seconds > 0
    rows = list(csv.DictReader((workdir / "compare.csv").open()))
    assert len(rows) == 2 * 2 * 2 and {row["selection"] for row in rows} == {"last"}
    own = next(row for row in rows if (row["method"], row["split"], row["seed"]) == ("toy", "test", "1"))
    assert float(own["mAP@0.3"]) == pytest.approx(results[1].outcome.mean_ap["test"][1, 2], abs=1e-3)
    assert (workdir / "compare.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_finished_comparison_trains_nothing(compared, data_dir, monkeypatch):
    workdir, before = compared
    monkeypatch.setattr(grid, "train", None)
    for one, other in zip(before, compare.compare(recipes(data_dir), workdir, 2, {}), strict=True):
        np.testing.assert_array_equal(one.outcome.mean_ap["test"], other.outcome.mean_ap["test"])
        assert one.training_seconds == other.training_seconds


KILLED = """
import os, signal, sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 8)
from tests.ablation.test_compare import recipes
from tsc_jax.ablation import compare
from tsc_jax.training import loop
save = loop.checkpoints.save
def killing(manager, step, *of):
    if "toy" in str(manager.directory) and "seed_1" in str(manager.directory):
        os.kill(os.getpid(), signal.SIGKILL)
    save(manager, step, *of)
loop.checkpoints.save = killing
compare.compare(recipes(Path(sys.argv[1])), Path(sys.argv[2]), 2, {})
"""


@pytest.mark.slow
def test_a_comparison_that_was_killed_gives_the_same_numbers(compared, data_dir, tmp_path):
    workdir = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", KILLED, data_dir, workdir], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (workdir / "metrics" / "compare" / "tscnet.json").exists()
    again = compare.compare(recipes(data_dir), workdir, 2, {})
    for before, after in zip(compared[1], again, strict=True):
        np.testing.assert_array_equal(before.outcome.mean_ap["test"], after.outcome.mean_ap["test"])


@pytest.mark.slow
def test_a_method_that_fails_does_not_stop_the_others(data_dir, tmp_path):
    """The base of a stage fails, so the stage does as well; another method has no recipe."""
    staged = toy_run(data_dir, **SHORT)
    with staged.unlocked():
        staged.base = base_section()
    made = {
        "stage": staged,
        "base": toy_run(data_dir, **SHORT, **{"toy.nan_at": 0, "toy.nan_above": 0.0}),
        "toy": toy_run(data_dir, **SHORT),
        "none": InputError("none has no recipe 'demo'"),
    }
    compared = compare.compare(made, tmp_path / "new", 2, {"stage": "base"})
    assert [each.method for each in compared] == list(made)
    stage, base, good, none = map(compare_tables.note, compared)
    assert "base" in stage and "not finite" in base and "no recipe" in none and "failed" not in good
    compare_tables.write(tmp_path / "new", compared, (), setting())
    text = (tmp_path / "new" / "compare.md").read_text()
    assert "not finite" in text and compared[2].outcome is not None
    rows = list(csv.DictReader((tmp_path / "new" / "compare.csv").open()))
    assert [row["method"] for row in rows if row["note"].startswith("failed")] == ["stage", "base", "none"]


def test_a_stage_needs_its_base_among_the_methods(data_dir):
    staged = toy_run(data_dir)
    with staged.unlocked():
        staged.base = base_section()
    with pytest.raises(InputError, match="add tscnet to --methods"):
        compare.compare({"toy": staged}, Path("nowhere"), 2, {"toy": "tscnet"})


@pytest.mark.slow
def test_a_stage_stands_on_the_runs_of_its_base(data_dir, tmp_path):
    """Which are trained first, wherever the base stands in the list."""
    staged = toy_run(data_dir, **SHORT)
    with staged.unlocked():
        staged.base = base_section()
    made = {"stage": staged, "toy": toy_run(data_dir, **SHORT)}
    compared = compare.compare(made, tmp_path / "new", 2, {"stage": "toy"})
    assert [each.reason for each in compared] == ["", ""]
    assert open_trained(tmp_path / "new" / "stage" / "seed_1").config.base.workdir == str(tmp_path / "new" / "toy")
    times = [(tmp_path / "new" / name / "seed_0" / grid.TIME).stat().st_mtime_ns for name in ("toy", "stage")]
    assert times[0] < times[1]


def test_the_first_seeds_must_be_equal(data_dir, tmp_path):
    made = recipes(data_dir, **{"train.seed": 4})
    with pytest.raises(InputError, match="first seeds"):
        compare.compare(made, tmp_path / "new", 2, {})


def test_a_workdir_of_something_else_is_refused_and_not_changed(data_dir, tmp_path):
    dataset, made = open_dataset(data_dir, "made_up"), {"toy": toy_run(data_dir)}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(InputError, match="holds other files"):
        compare.claim(tmp_path / "other", made, dataset)
    workdir = tmp_path / "own"
    compare.claim(workdir, made, dataset)
    compare.claim(workdir, {"toy": toy_run(data_dir, **{"train.steps": 9})}, dataset)  # nothing is trained yet
    (workdir / "toy").mkdir()
    before = (workdir / "comparison.json").read_text()
    with pytest.raises(InputError, match=r"config\.train\.steps = 9, now it is 6"):
        compare.claim(workdir, made, dataset)
    with pytest.raises(InputError, match=r"config\.eval\.tiou"):
        compare.claim(workdir, {"tscnet": small_run(data_dir, **{"eval.tiou": "0.3"})}, dataset)
    assert (workdir / "comparison.json").read_text() == before
    compare.claim(workdir, {"tscnet": small_run(data_dir)}, dataset)
    assert set(json.loads((workdir / "comparison.json").read_text())["recipes"]) == {"toy", "tscnet"}


@pytest.mark.parametrize(("mean", "mark"), [(0.2, "near 0"), (9.0, "below the floor of 10.0"), (30.0, "")])
def test_a_collapse_is_marked(mean, mark):
    outcome = grid.Outcome("toy", [0.1, 0.3, 0.7], {"test": np.full((2, 3), mean)})
    of = compare.Compared("toy", outcome=outcome, floor=np.full(3, 10.0))
    assert mark in compare_tables.note(of) and bool(compare_tables.note(of)) == bool(mark)


def test_what_stands_on_itself_is_refused(data_dir, tmp_path):
    staged = toy_run(data_dir)
    with staged.unlocked():
        staged.base = base_section()
    made = {"one": staged, "two": staged, "toy": toy_run(data_dir)}
    for bases in ({"one": "one", "two": "toy"}, {"one": "two", "two": "one"}):
        with pytest.raises(InputError, match="one stands on the runs of"):
            compare.compare(made, tmp_path / "new", 2, bases)


@pytest.mark.slow
def test_plus_reads_the_runs_of_its_method_and_best_stands_on_them(data_dir, tmp_path):
    published, best = toy_run(data_dir, **SHORT), self_train_run(data_dir, **SHORT)
    better = plus.improve(complete(published.to_dict()))
    made = {"toy_best": best, "toy_plus": better, "toy": published}
    workdir = tmp_path / "new"
    compared = compare.compare(made, workdir, 2, {"toy_best": "toy"}, {"toy_plus": "toy"})
    assert [each.reason for each in compared] == ["", "", ""]
    assert sorted(path.name for path in workdir.iterdir() if path.is_dir()) == ["metrics", "toy", "toy_best"]
    assert compared[1].training_seconds == compared[2].training_seconds
    assert (compared[1].outcome.mean_ap["test"] != compared[2].outcome.mean_ap["test"]).any()
    dataset, trained = open_dataset(data_dir, "made_up"), open_trained(workdir / "toy" / "seed_1")
    by_hand = evaluate(make_inference(better, trained.sizes), trained.variables, 2, dataset, dataset.test, better)
    np.testing.assert_array_equal(by_hand.metrics["mAP"], compared[1].outcome.mean_ap["test"][1])
    assert open_trained(workdir / "toy_best" / "seed_0").config.base.workdir == str(workdir / "toy")
