"""The real loop with a toy method: it resumes to the same bytes, and its report says what was measured."""

import json
import shutil

import numpy as np
import pytest

from tests.training.small import CLASSES, arrays, losses, scalars, small_run, steps, toy_run
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.report import run
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints, loop, recipes
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained


def test_a_run_leaves_scalars_and_checkpoints_that_say_what_they_are(toy_finished):
    lines = scalars(toy_finished)
    assert [line["step"] for line in lines if "total" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "test/mAP@all" in line] == [3, 6]
    about = open_trained(toy_finished).about
    assert (about["format"], about["method"], about["step"]) == (checkpoints.FORMAT, "toy", 6)
    assert about["classes"] == list(CLASSES)
    assert about["sizes"]["videos"] == 12 and about["sizes"]["width"] == 16
    assert about["config"]["train"]["steps"] == 6
    assert about["facts"] == {"refreshed_0": 0}
    best = open_trained(toy_finished, "best_on_test").about
    assert best["score"] == max(line["test/mAP@0.1:0.7"] for line in lines if "test/mAP@0.1:0.7" in line)


@pytest.mark.parametrize("stop", [3, 4])
def test_a_resumed_run_ends_with_the_same_bytes(data_dir, tmp_path, stop):
    """Also where it stops right before a refresh, which is then done again."""
    config = toy_run(data_dir, **{"toy.refresh_at": (0, 3)})
    train(config, tmp_path / "whole")
    train(toy_run(data_dir, **{"toy.refresh_at": (0, 3), "train.steps": stop}), tmp_path / "stopped")
    train(config, tmp_path / "stopped")
    assert arrays(tmp_path / "stopped") == arrays(tmp_path / "whole")
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    assert open_trained(tmp_path / "stopped").about["facts"] == {"refreshed_0": 0, "refreshed_3": 0}


def test_a_finished_run_stays_as_it_is(toy_finished, data_dir):
    before = (toy_finished / "scalars.jsonl").read_bytes()
    train(toy_run(data_dir), toy_finished)
    assert (toy_finished / "scalars.jsonl").read_bytes() == before


def test_the_report_says_what_was_measured(finished):
    """TSC-Net's, which adds a section."""
    table = report(finished, {})
    assert "floor" in table and "last (step 6)" in table and "best on test" in table
    metrics = json.loads((finished / "metrics.json").read_text())
    logged = next(line for line in scalars(finished) if "test/mAP@all" in line and line["step"] == 6)
    assert metrics["average_mAP"]["all"] == logged["test/mAP@all"]
    assert set(metrics["AP"]) == set(CLASSES)
    np.testing.assert_allclose(np.mean(list(metrics["AP"].values()), axis=0), metrics["mAP"])
    assert (metrics["selection"], metrics["step"], metrics["protocol"]) == ("last", 6, "published")
    assert json.loads((finished / "best_on_test" / "metrics.json").read_text())["selection"] == "best on test"
    assert set(json.loads((finished / "predictions.json").read_text())["results"]) == {f"test{i:02}" for i in range(7)}
    assert (finished / "figures" / "test00.png").read_bytes().startswith(b"\x89PNG")
    page = (finished / "report.html").read_text()
    assert "made_up: last, step 6" in page and f"<b>{metrics['average_mAP']['all']:.1f}</b>" in page
    for title in ("mAP (%), test videos", "semantic", "similarity of the rows", "attention to the rows"):
        assert title in page
    assert "made_up: best on test" in (finished / "best_on_test" / "report.html").read_text()


def test_a_report_knows_nothing_of_the_method(toy_finished):
    table = report(toy_finished, {})
    assert "last (step 6)" in table
    page = (toy_finished / "report.html").read_text()
    assert "pull" in page and "Bank" not in page


def test_other_settings_leave_the_files_of_a_run_as_they_are(toy_finished, tmp_path):
    own = report(toy_finished, {})
    before = {path: path.stat().st_mtime_ns for path in toy_finished.rglob("*")}
    table = report(toy_finished, {"eval.protocol": "seconds"})
    assert "protocol seconds" in table and "--output=DIR writes these" in table
    report(toy_finished, {"eval.protocol": "seconds"}, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in toy_finished.rglob("*")} == before
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["protocol"] == "seconds"
    assert (tmp_path / "out" / "report.html").exists() and (tmp_path / "out" / "best_on_test").is_dir()
    assert "--output" not in own
    with pytest.raises(InputError, match=r"config\.eval\.protocol is 'Seconds', expected one of"):
        report(toy_finished, {"eval.protocol": "Seconds"})


def test_the_test_videos_are_evaluated_once_after_each_step(data_dir, tmp_path, monkeypatch):
    evaluated = []

    def counted(inference, variables, step, dataset, split, config):
        evaluated.append((step, split is dataset.test or len(split.videos)))
        return evaluate(inference, variables, step, dataset, split, config)

    monkeypatch.setattr(loop, "evaluate", counted)
    monkeypatch.setattr(run, "evaluate", counted)
    known = loop.train_and_evaluate(toy_run(data_dir, **{"eval.holdout": 0.3}), tmp_path)
    table = report(tmp_path, {}, known=known)
    assert evaluated == [(3, True), (3, 4), (6, True), (6, 4)]
    assert report(tmp_path, {}) == table
    chosen = {steps(tmp_path, selection)[-1] for selection in checkpoints.SELECTIONS}
    assert evaluated[4:] == [(step, True) for step in sorted(chosen, reverse=True)]


def test_the_holdout_chooses_a_step_without_the_test_videos(data_dir, tmp_path):
    train(toy_run(data_dir, **{"eval.holdout": 0.3}), tmp_path)
    held = {line["step"]: line["holdout/mAP@0.1:0.7"] for line in scalars(tmp_path) if "holdout/mAP@0.1:0.7" in line}
    assert list(held) == [3, 6]
    about = open_trained(tmp_path, "best_on_holdout").about
    assert about["score"] == held[about["step"]] == max(held.values())
    assert about["sizes"]["videos"] == 8, "held-out videos are not trained on"
    assert "best on holdout" in report(tmp_path, {})


def test_holding_out_leaves_two_videos_of_every_class(data_dir):
    split = open_dataset(data_dir, "made_up").train
    for share in (0.0, 0.3, 0.9):
        rest, held = split.hold_out(share, seed=0)
        names = [video.name for part in (rest, held) for video in part.videos]
        assert sorted(names) == [video.name for video in split.videos]
        assert len(held.videos) == min(round(share * 12), 6)
        assert (np.sum([video.labels for video in rest.videos], axis=0) >= 2).all()


def test_short_videos_get_no_predictions_but_their_ground_truth_counts(data_dir, tmp_path):
    train(toy_run(data_dir, **{"data.min_snippets": 18}), tmp_path)
    short = [video.name for video in open_dataset(data_dir, "made_up").test.videos if video.num_snippets < 18]
    assert short
    table = report(tmp_path, {})
    assert f"{len(short)} of these videos have fewer than 18 snippets" in table
    assert f"their {len(short)} instances count all the same" in table
    results = json.loads((tmp_path / "predictions.json").read_text())["results"]
    assert [name for name, segments in results.items() if not segments] == short


def test_another_config_in_the_same_workdir_is_refused(toy_finished, data_dir):
    with pytest.raises(InputError, match=r"made with config\.train\.seed = 0, now it is 1"):
        train(toy_run(data_dir, **{"train.seed": 1}), toy_finished)
    with pytest.raises(InputError, match=r"made with config\.method = toy, now it is tscnet"):
        train(small_run(data_dir), toy_finished)


def test_a_key_that_recipes_got_later_does_not_break_an_earlier_run(toy_finished, data_dir, tmp_path, monkeypatch):
    shutil.copytree(toy_finished, tmp_path / "run")
    monkeypatch.setitem(recipes.ADDED, "train.warmup", 0)
    assert open_trained(tmp_path / "run").config.train.warmup == 0
    later = toy_run(data_dir, **{"train.steps": 8}).unlock()
    later.train.warmup = 0
    train(later.lock(), tmp_path / "run")
    assert open_trained(tmp_path / "run").step == 8
    later.unlock().train.warmup = 1
    with pytest.raises(InputError, match=r"made with config\.train\.warmup = 0, now it is 1"):
        train(later.lock(), tmp_path / "run")


@pytest.mark.parametrize(("number", "way"), [(1, "launch.import_torch"), (checkpoints.FORMAT + 1, "update tsc_jax")])
def test_a_checkpoint_of_another_format_is_refused_with_what_to_do(tmp_path, monkeypatch, number, way):
    monkeypatch.setattr(checkpoints, "FORMAT", number)
    manager = checkpoints.open_checkpoints(tmp_path, checkpoints.LAST)
    checkpoints.save(manager, 1, {"a": np.zeros(2)}, {"config": {}})
    checkpoints.close([manager])
    monkeypatch.undo()
    with pytest.raises(InputError, match=f"has format {number}, this version reads format .*{way}"):
        open_trained(tmp_path)
