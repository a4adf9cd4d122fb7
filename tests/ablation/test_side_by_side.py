"""Finished runs side by side: the numbers of their reports, from their files where these are of the newest step."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tests.report.pages import pictures
from tests.training.small import toy_run
from tsc_jax.ablation import side_by_side, side_by_side_page
from tsc_jax.ablation.compare import COMPARISON
from tsc_jax.ablation.side_by_side import ABSENT, Row, compare, differences
from tsc_jax.errors import InputError
from tsc_jax.report.run import report
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train

ROOT = Path(__file__).resolve().parents[2]
FEW = {"train.steps": 4, "train.seeds": 2, "eval.after": 4, "eval.every": 4, "eval.figures": 0}


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory):
    """Two workdirs of two seeds, of which the first is evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    train(toy_run(data_dir, **FEW), folder / "one")
    train(toy_run(data_dir, **FEW, **{"optimizer.learning_rate": 0.05}), folder / "two")
    report(folder / "one", {})
    return folder


def content_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_numbers_are_those_of_the_reports_and_the_runs_stay_as_they_are(runs, tmp_path):
    before = content_of(runs)
    setting, rows = compare([runs / "one", runs / "two"])
    text = side_by_side_page.write(tmp_path / "out", setting, rows, "python -m launch.compare")
    assert content_of(runs) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(side_by_side_page.FILES)
    report(runs / "two", {}, tmp_path / "reports")
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    for name, folder in (("one", runs / "one"), ("two", tmp_path / "reports")):
        for seed, of_seed in enumerate(content["runs"][name]):
            metrics = json.loads((folder / f"seed_{seed}" / "metrics.json").read_text())
            assert (of_seed["seed"], of_seed["step"], content["tiou"]) == (seed, 4, metrics["tiou"])
            np.testing.assert_allclose(of_seed["mAP"], metrics["mAP"], rtol=0, atol=1e-9)
            assert of_seed["classification_mAP"] == metrics["classification_mAP"]
            place = metrics["tiou"].index(content["threshold"])
            assert of_seed["AP"] == pytest.approx({name: of[place] for name, of in metrics["AP"].items()})
    assert content["differences"] == {"optimizer.learning_rate": [0.001, 0.05]}
    averages = np.array([row.stack("mean_ap")[:, :7].mean(axis=1) for row in rows])
    low, high = scipy.stats.ttest_rel(averages[1], averages[0]).confidence_interval(0.95)
    assert f"{np.mean(averages[1] - averages[0]):+.1f} [{low:+.1f}, {high:+.1f}]" in text
    page = (tmp_path / "out" / "compare.html").read_text()
    assert re.findall(r'<section class="card" id="(\w+)"', page) == list(side_by_side_page.TEXTS)
    assert pictures(page) and "If it looks bad" not in page and re.findall(r"https?:|src=|nan", page) == []


def test_files_of_the_newest_step_are_read_and_others_are_not(runs, tmp_path, monkeypatch):
    shutil.copytree(runs / "one", tmp_path / "copy")
    both = [tmp_path / "copy", runs / "one"]
    with monkeypatch.context() as patched:
        patched.setattr(side_by_side, "evaluate", None)  # both are evaluated already
        _, (sound, _) = compare(both)
    metrics = tmp_path / "copy" / "seed_0" / "metrics.json"
    predictions = tmp_path / "copy" / "seed_1" / "predictions.json"
    metrics.write_text(metrics.read_text().replace('"step": 4', '"step": 2'))
    found = json.loads(predictions.read_text())
    predictions.write_text(json.dumps(found | {"results": {name: [] for name in found["results"]}}))  # of another step
    _, (again, _) = compare(both)
    np.testing.assert_allclose(again.stack("mean_ap"), sound.stack("mean_ap"), rtol=0, atol=1e-9)


def test_a_run_an_export_and_a_run_that_still_trains(runs, tmp_path):
    export_run(runs / "two" / "seed_1", tmp_path / "exported", "last", "float32", [])
    setting, rows = compare([runs / "two" / "seed_0", tmp_path / "exported"])
    assert [[each.seed for each in row.seeds] for row in rows] == [[0], [1]]
    change = side_by_side_page.difference(rows[1], rows[0], setting)
    assert np.isnan(change.half_width) and np.isfinite(change.mean)
    trains = rows[0]._replace(recipe=rows[0].recipe | {"train.steps": 9})
    assert [line[3] for line in side_by_side_page.run_table([trains, rows[1]])[1:]] == ["4 of 9 (last)", "4 (last)"]


def test_runs_that_cannot_be_compared_are_one_sentence(runs, finished, tmp_path, monkeypatch):
    one = runs / "one"
    for folders, sentence in (
        ([one], "one run, expected two or more"),
        ([one, tmp_path / "none"], "none: no such folder"),
        ([one, runs / ".." / runs.name / "one" / "seed_1"], "holds the same run as"),
        ([one, tmp_path], "holds no checkpoint 'last'"),
    ):
        with pytest.raises(InputError, match=sentence):
            compare(folders)
    read = side_by_side.read_about

    def other_data(folder):
        return read(folder) | ({"data_fingerprint": "other"} if folder == finished else {})

    monkeypatch.setattr(side_by_side, "read_about", other_data)
    with pytest.raises(InputError, match=f"{finished}: was trained on another version of made_up"):
        compare([one, finished])
    (tmp_path / COMPARISON).write_text("{}")
    with pytest.raises(InputError, match="holds a comparison of methods"):
        side_by_side_page.check_target(tmp_path, COMPARISON)


VALUES = st.dictionaries(st.sampled_from(["a", "b", "train.seed", "base.recipe.a"]), st.integers(0, 2))


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_only_what_differs_between_those_that_have_it(recipes):
    found = differences([Row("", {}, recipe, []) for recipe in recipes])
    for key in ("a", "b", "base.recipe.a"):
        values = {recipe[key] for recipe in recipes if key in recipe}
        assert (key in found) == (len(values) > 1)
        if key in found:
            assert found[key] == [recipe.get(key, ABSENT) for recipe in recipes]
    assert "train.seed" not in found


def test_flags_of_training_are_refused():
    command = [sys.executable, "-m", "launch.compare", "--runs=a,b", "--seeds=3", "--workdir=c"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "--seeds does not go with --runs, which trains nothing\n"
