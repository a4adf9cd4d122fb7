"""The real loop on a small data set and a toy method: it resumes to the same bytes and refuses what does not fit."""

import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import shutil
import threading

import numpy as np
import pytest

import tsc_jax
from tests.training.small import CLASSES, small_run, toy_run
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError, PreemptedError
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints, loop, recipes
from tsc_jax.training.checks import check_values
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained


@pytest.fixture(scope="module")
def toy_finished(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("toy_finished")
    train(toy_run(data_dir), workdir)
    return workdir


def arrays(workdir, selection="last") -> dict:
    """Type, shape and checksum of all that a run's checkpoint holds."""
    return open_trained(workdir, selection).about["arrays"]


def steps(workdir, selection="last") -> list[int]:
    return sorted(int(path.name) for path in checkpoints.folder_of(workdir, selection).iterdir())


def scalars(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "scalars.jsonl").read_text().splitlines()]


def losses(workdir) -> list[float]:
    return [line["total"] for line in scalars(workdir) if "total" in line]


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


# What is not finite.

NAN = {"toy.nan_at": 4, "optimizer.learning_rate": 0.02, "train.steps": 8}  # the state after step 5


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(data_dir, tmp_path):
    with pytest.raises(
        InputError, match=r"step 5: the loss is not finite \(.*class = nan.*step 4 is the last good one"
    ):
        train(toy_run(data_dir, **NAN), tmp_path)
    assert steps(tmp_path) == [2, 4]


@pytest.mark.parametrize("reason", ["every_steps", "judged", "SIGTERM"])
def test_a_state_that_is_not_finite_is_never_saved(data_dir, tmp_path, monkeypatch, reason):
    """Between two logged steps; and a lower learning rate goes on from the last good step."""
    changes = NAN | {"train.log_every": 100, "eval.after": 6 if reason == "judged" else 8, "eval.every": 6}
    if reason == "SIGTERM":
        monkeypatch.setattr(loop, "preemption_notice", lambda: contextlib.nullcontext(lambda step: step == 5))
    with pytest.raises(InputError, match="not finite, so it is not saved; step 4 is the last good one that was saved"):
        train(toy_run(data_dir, **changes), tmp_path)
    assert steps(tmp_path) == [2, 4]
    assert not any(step > 4 for step in steps(tmp_path, "best_on_test"))
    monkeypatch.undo()
    train(toy_run(data_dir, **changes | {"optimizer.learning_rate": 0.009}), tmp_path)
    assert open_trained(tmp_path).step == 8


# Reading, leaving and going on.


@pytest.mark.parametrize("reader", ["evaluate", "load", "export"])
def test_reading_leaves_a_save_in_flight_alone(toy_finished, tmp_path, reader):
    shutil.copytree(toy_finished, tmp_path / "run")
    in_flight = checkpoints.folder_of(tmp_path / "run", "last") / "7.orbax-checkpoint-tmp"
    in_flight.mkdir()
    before = sorted(path for path in (tmp_path / "run" / "checkpoints").rglob("*"))
    if reader == "evaluate":
        report(tmp_path / "run", {})
    elif reader == "load":
        tsc_jax.load(tmp_path / "run")
    else:
        export_run(tmp_path / "run", tmp_path / "export", "last", "float32", [])
    assert sorted(path for path in (tmp_path / "run" / "checkpoints").rglob("*")) == before


def test_a_run_may_train_in_a_thread_that_is_not_the_main_one(data_dir, tmp_path):
    with concurrent.futures.ThreadPoolExecutor() as threads:
        threads.submit(train, toy_run(data_dir), tmp_path).result()
    assert open_trained(tmp_path).step == 6


def train_in_a_process(data_dir, workdir) -> None:
    train(toy_run(data_dir, **{"train.steps": 40, "checkpoint.every_steps": 1, "eval.after": 40}), workdir)


def test_a_run_is_read_while_another_process_trains_it(data_dir, tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=train_in_a_process, args=(data_dir, tmp_path))
    process.start()
    read = [0]
    while process.is_alive():
        with contextlib.suppress(InputError):  # nothing is there yet
            read.append(open_trained(tmp_path).step)
    process.join()
    assert process.exitcode == 0 and open_trained(tmp_path).step == 40
    assert read == sorted(read)


def test_a_workdir_that_another_process_trains_in_is_refused(data_dir, tmp_path, monkeypatch):
    """The second of two, in the middle of the first."""
    refused = []

    def evaluate_twice(*arguments):
        with pytest.raises(InputError, match="another process trains there") as error:
            train(toy_run(data_dir), tmp_path)
        refused.append(error)
        return evaluate(*arguments)

    monkeypatch.setattr(loop, "evaluate", evaluate_twice)
    train(toy_run(data_dir), tmp_path)
    assert refused and open_trained(tmp_path).step == 6


def test_a_run_that_was_left_by_an_exception_goes_on_in_the_same_process(data_dir, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("made up")

    config = toy_run(data_dir, **{"checkpoint.every_steps": 1})
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="made up"):
        patched.setattr(loop, "evaluate", fail)
        train(config, tmp_path)
    assert steps(tmp_path) == [1, 2]
    assert not [thread for thread in threading.enumerate() if "save" in thread.name.lower()]
    train(config, tmp_path)
    assert steps(tmp_path) == [5, 6]


def test_a_resumed_run_judges_its_best_step_anew(data_dir, tmp_path):
    config = toy_run(data_dir, **{"checkpoint.keep": 5})
    train(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for step in steps(tmp_path / "cut"):
        if step > 2:
            shutil.rmtree(checkpoints.folder_of(tmp_path / "cut", "last") / str(step))
    train(config, tmp_path / "cut")
    for selection in ("last", "best_on_test"):
        assert steps(tmp_path / "cut", selection) == steps(tmp_path / "whole", selection)
        assert arrays(tmp_path / "cut", selection) == arrays(tmp_path / "whole", selection)


def test_a_step_that_is_there_already_is_replaced(tmp_path):
    manager = checkpoints.open_checkpoints(tmp_path, checkpoints.LAST)
    for value in (1.0, 2.0):
        checkpoints.save(manager, 1, {"a": np.full(2, value)}, {})
    checkpoints.close([manager])
    manager = checkpoints.read_checkpoints(tmp_path, checkpoints.LAST)
    about = checkpoints.read_about(manager)
    assert checkpoints.restore(manager, 1, about, {"a": np.zeros(2)})["a"].tolist() == [2.0, 2.0]
    manager.close()


def test_sigterm_saves_the_step(data_dir, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(PreemptedError, match="after step 5, which is saved"):
        patched.setattr(loop, "preemption_notice", lambda: contextlib.nullcontext(lambda step: step == 5))
        train(toy_run(data_dir), tmp_path)
    assert steps(tmp_path)[-1] == 5


# What does not fit.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.batch_size": 10}, r"config\.train\.batch_size is 10, which 8 devices do not divide"),
        ({"train.pairs": 9}, r"config\.train\.pairs is 9"),
        ({"train.batches": "all"}, r"config\.train\.batches is 'all', expected one of pairs, epochs"),
        ({"bank.rows": 1000}, r"config\.bank\.rows is 1000, but there are only 96"),
        ({"bank.update_rule": "gradint"}, r"config\.bank\.update_rule is 'gradint'"),
        ({"eval.select_by": "0.3:0.7"}, r"config\.eval\.select_by is '0.3:0.7', but the averages"),
        ({"eval.tiou": "0.5:0.95:0.05"}, r"config\.eval\.select_by is '0.1:0.7', but .* 0.5:0.95"),
        ({"data.name": "nothing"}, r"data set nothing is not prepared"),
        ({"method": "tscnot"}, r"config\.method is 'tscnot', expected one of .*tscnet"),
        ({"data.min_snippets": 28}, r"config\.data\.min_snippets is 28, but no test video"),
        ({"data.min_snippets": 31}, r"config\.data\.min_snippets is 31, but no training video"),
        ({"model.tce_heads": 3}, r"config\.model\.tce_heads is 3, expected a divisor of the feature width 16"),
        ({"model.pyramid_kernels": (1, 2, 5)}, r"config\.model\.pyramid_kernels is \(1, 2, 5\), expected odd"),
        ({"model.pyramid_fuse_kernel": 4}, r"config\.model\.pyramid_fuse_kernel is 4, expected odd"),
        ({"proposals.nms_sigma": 0.0}, r"config\.proposals\.nms_sigma is 0.0, expected"),
        ({"proposals.topk_ratio": 0}, r"config\.proposals\.topk_ratio is 0, expected 1 or more"),
        ({"proposals.classification_topk_ratio": 0}, r"config\.proposals\.classification_topk_ratio is 0"),
        ({"loss.topk_ratio": 0}, r"config\.loss\.topk_ratio is 0, expected 1 or more"),
        ({"eval.every": 0}, r"config\.eval\.every is 0, expected 1 or more"),
        ({"train.log_every": 0}, r"config\.train\.log_every is 0, expected 1 or more"),
        ({"checkpoint.every_steps": 0}, r"config\.checkpoint\.every_steps is 0, expected 1 or more"),
        ({"optimizer.milestones": (4, 2)}, r"config\.optimizer\.milestones is \(4, 2\), expected rising"),
    ],
)
def test_what_does_not_fit_is_one_sentence_before_training(data_dir, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(small_run(data_dir, **changes), tmp_path)
    assert not (tmp_path / "scalars.jsonl").exists()


def test_a_class_that_is_left_with_one_video_is_named_where_pairs_are_drawn(data_dir, tmp_path):
    lengths = sorted(video.num_snippets for video in open_dataset(data_dir, "made_up").train.videos)
    least = next(
        least
        for least in lengths
        if 1 in np.sum([v.labels for v in open_dataset(data_dir, "made_up").train.at_least(least).videos], axis=0)
    )
    with pytest.raises(InputError, match=r"config\.train\.pairs is 3, but class \w+ has 1 training video"):
        train(toy_run(data_dir, **{"data.min_snippets": least}), tmp_path)
    train(toy_run(data_dir, **{"data.min_snippets": least, "train.pairs": 0}), tmp_path)


def test_a_folder_without_a_run_is_refused_and_stays_empty(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        report(tmp_path, {})
    assert not list(tmp_path.iterdir())


# Several seeds.


@pytest.fixture(scope="module")
def three_seeds(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("three_seeds")
    train(toy_run(data_dir, **{"train.seed": 1, "train.seeds": 3}), workdir)
    return workdir


@pytest.mark.parametrize("seeds", [3, 11])
def test_seeds_that_are_trained_together_are_runs_like_any_other(data_dir, tmp_path, seeds):
    """11 fill 6 of 8 devices with 2 each, the last one with a copy."""
    train(toy_run(data_dir, **{"train.seeds": seeds}), tmp_path / "together")
    assert [
        folder.name for folder in sorted((tmp_path / "together").iterdir(), key=lambda path: int(path.name[5:]))
    ] == [f"seed_{seed}" for seed in range(seeds)]
    alone = toy_run(data_dir, **{"train.seed": seeds - 1})
    train(alone, tmp_path / "alone")
    last = tmp_path / "together" / f"seed_{seeds - 1}"
    np.testing.assert_allclose(losses(last), losses(tmp_path / "alone"), rtol=1e-4)
    assert losses(tmp_path / "together" / "seed_0") != losses(last)
    train(alone, last)
    assert "last (step 6)" in report(last, {})


def test_seeds_that_are_trained_together_resume_to_the_same_bytes(three_seeds, data_dir, tmp_path):
    seeds = {"train.seed": 1, "train.seeds": 3}
    train(toy_run(data_dir, **seeds, **{"train.steps": 4}), tmp_path)
    # One of them died before its newest checkpoint was complete.
    shutil.rmtree(tmp_path / "seed_2" / "checkpoints" / "last" / "4")
    train(toy_run(data_dir, **seeds), tmp_path)
    for name in ("seed_1", "seed_2", "seed_3"):
        assert arrays(tmp_path / name) == arrays(three_seeds / name)
        assert losses(tmp_path / name) == losses(three_seeds / name)


def test_the_report_of_several_seeds_tells_mean_and_standard_deviation(three_seeds):
    table = report(three_seeds, {})
    summary = json.loads((three_seeds / "seeds.json").read_text())["last"]
    values = [json.loads((three_seeds / f"seed_{i}" / "metrics.json").read_text())["mAP"] for i in (1, 2, 3)]
    np.testing.assert_allclose(summary["mAP"]["mean"], np.mean(values, axis=0))
    np.testing.assert_allclose(summary["mAP"]["standard_deviation"], np.std(values, axis=0, ddof=1))
    assert "last (step 6), seed_3" in table and "standard deviation" in table


def test_other_seeds_in_the_same_workdir_are_refused(three_seeds, toy_finished, data_dir, tmp_path):
    with pytest.raises(InputError, match=r"holds seed_1 \.\. seed_3, 3 in all"):
        train(toy_run(data_dir, **{"train.seeds": 4}), three_seeds)
    with pytest.raises(InputError, match="holds seed_1"):
        train(toy_run(data_dir), three_seeds)
    with pytest.raises(InputError, match="holds a single run"):
        train(toy_run(data_dir, **{"train.seeds": 2}), toy_finished)
    for seeds in ({"train.seed": -1}, {"train.seeds": 0}, {"train.seed": 2**31}):
        with pytest.raises(InputError, match=r"config\.train\.seed is"):
            train(toy_run(data_dir, **seeds), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_makes_no_file_name_is_refused_before_training(data_dir):
    dataset, config = open_dataset(data_dir, "made_up"), toy_run(data_dir)
    long = dataclasses.replace(dataset.test.videos[0], name="x" * 252)
    renamed = dataclasses.replace(
        dataset, test=dataclasses.replace(dataset.test, videos=(long, *dataset.test.videos[1:]))
    )
    with pytest.raises(InputError, match="has 252 bytes in UTF-8, expected at most 251"):
        check_values(config, renamed)
