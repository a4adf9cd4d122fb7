"""The real loop on a small data set: it learns, resumes to the same bytes, and refuses what does not fit."""

import json
import shutil

import jax
import numpy as np
import pytest

from configs import thumos14
from tsc_jax.data import builder
from tsc_jax.data.dataset import open_dataset
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.errors import InputError
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.loop import train

CLASSES = ("jump", "throw", "run")


def made_up_source() -> Source:
    """Videos of 12 to 30 snippets; each action has a feature of its own."""

    def video(name: str, index: int) -> SourceVideo:
        rng = np.random.default_rng([len(name), index])
        length, label = int(rng.integers(12, 31)), index % len(CLASSES)
        start = int(rng.integers(0, length - 6))
        features = rng.random((length, 16)).astype(np.float32)
        features[start : start + 5, label] += 3
        segment = (start / 2.0, start / 2.0 + 2.5)
        return SourceVideo(
            f"{name}{index:02}", length / 2.0, (CLASSES[label],), (segment,), (CLASSES[label],), lambda: features
        )

    splits = {"train": tuple(video("train", i) for i in range(12)), "test": tuple(video("test", i) for i in range(7))}
    return Source(CLASSES, 2.0, splits)


def small_run(data_dir, **changes):
    config = thumos14.get_config()
    config.update_from_flattened_dict(
        {
            "data.name": "made_up",
            "data.data_dir": str(data_dir),
            "bank.snippets_per_video": 8,
            "optimizer.learning_rate": 1e-3,
            "train.batch_size": 16,
            "train.snippets": 16,
            "train.steps": 6,
            "checkpoint.every_steps": 2,
            "train.log_every": 1,
            "eval.every": 3,
            "eval.after": 3,
            "eval.figures": 1,
            **changes,
        }
    )
    return config


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    builder.prepare(made_up_source, "made_up", folder)
    return folder


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished")
    train(small_run(data_dir), workdir)
    return workdir


def last_state(config, workdir):
    return checkpoints.restore(checkpoints.open_checkpoints(workdir, "last"), state_template(config, len(CLASSES), 16))


def test_a_run_leaves_scalars_and_checkpoints_that_say_what_they_are(finished, data_dir):
    lines = [json.loads(line) for line in (finished / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "total" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "test/mAP@all" in line] == [3, 6]
    about = checkpoints.read_about(checkpoints.open_checkpoints(finished, "last"))
    assert about["step"] == 6
    assert about["classes"] == list(CLASSES)
    assert about["bank_fit"]["snippets"] == 12 * 8
    assert about["config"]["train"]["steps"] == 6
    best = checkpoints.read_about(checkpoints.open_checkpoints(finished, "best_on_test"))
    assert best["score"] == max(line["test/mAP@0.1:0.7"] for line in lines if "test/mAP@0.1:0.7" in line)
    assert last_state(small_run(data_dir), finished).bank.fit.fingerprint == best["bank_fit"]["fingerprint"]


def test_a_resumed_run_ends_with_the_same_bytes(finished, data_dir, tmp_path):
    train(small_run(data_dir, **{"train.steps": 4}), tmp_path)
    config = small_run(data_dir)
    train(config, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, last_state(config, tmp_path), last_state(config, finished))
    whole, resumed = (
        {line for line in (folder / "scalars.jsonl").read_text().splitlines() if "total" in line}
        for folder in (finished, tmp_path)
    )
    assert resumed == whole


def test_a_finished_run_stays_as_it_is(finished, data_dir):
    before = (finished / "scalars.jsonl").read_bytes()
    train(small_run(data_dir), finished)
    assert (finished / "scalars.jsonl").read_bytes() == before


def test_the_report_says_what_was_measured(finished):
    table = report(finished, {})
    assert "floor" in table and "last (step 6)" in table and "best on test" in table
    metrics = json.loads((finished / "metrics.json").read_text())
    lines = [json.loads(line) for line in (finished / "scalars.jsonl").read_text().splitlines()]
    logged = next(line for line in lines if "test/mAP@all" in line and line["step"] == 6)
    assert metrics["average_mAP"]["all"] == logged["test/mAP@all"]
    assert (metrics["selection"], metrics["step"], metrics["protocol"]) == ("last", 6, "published")
    assert json.loads((finished / "best_on_test" / "metrics.json").read_text())["selection"] == "best on test"
    assert set(json.loads((finished / "predictions.json").read_text())["results"]) == {f"test{i:02}" for i in range(7)}
    assert (finished / "figures" / "test00.png").read_bytes().startswith(b"\x89PNG")
    page = (finished / "report.html").read_text()
    assert "made_up: last, step 6" in page and f"<b>{metrics['average_mAP']['all']:.1f}</b>" in page
    for title in ("mAP (%), test videos", "semantic", "mAP gained without them (points)", "similarity of the rows"):
        assert title in page
    assert "made_up: best on test" in (finished / "best_on_test" / "report.html").read_text()


def test_the_holdout_chooses_a_step_without_the_test_videos(data_dir, tmp_path):
    train(small_run(data_dir, **{"eval.holdout": 0.3}), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    held = {line["step"]: line["holdout/mAP@0.1:0.7"] for line in lines if "holdout/mAP@0.1:0.7" in line}
    assert list(held) == [3, 6]
    about = checkpoints.read_about(checkpoints.open_checkpoints(tmp_path, "best_on_holdout"))
    assert about["score"] == held[about["step"]] == max(held.values())
    assert about["bank_fit"]["snippets"] == 8 * 8, "the bank must not see held-out videos"
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
    train(small_run(data_dir, **{"data.min_snippets": 18}), tmp_path)
    short = [video.name for video in open_dataset(data_dir, "made_up").test.videos if video.num_snippets < 18]
    assert short
    table = report(tmp_path, {})
    assert f"{len(short)} of these videos have fewer than 18 snippets" in table
    assert f"their {len(short)} instances count all the same" in table
    results = json.loads((tmp_path / "predictions.json").read_text())["results"]
    assert [name for name, found in results.items() if not found] == short


def test_another_config_in_the_same_workdir_is_refused(finished, data_dir):
    with pytest.raises(InputError, match=r"made with config\.train\.seed = 0, now it is 1"):
        train(small_run(data_dir, **{"train.seed": 1}), finished)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(data_dir, tmp_path):
    with pytest.raises(InputError, match=r"step 2: the loss is not finite \(.*mil = nan"):
        train(small_run(data_dir, **{"optimizer.learning_rate": float("inf")}), tmp_path)
    assert checkpoints.read_about(checkpoints.open_checkpoints(tmp_path, "last")) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.batch_size": 10}, r"config\.train\.batch_size is 10, which 8 devices do not divide"),
        ({"train.pairs": 9}, r"config\.train\.pairs is 9"),
        ({"bank.rows": 1000}, r"config\.bank\.rows is 1000, but there are only 96"),
        ({"bank.update_rule": "gradint"}, r"config\.bank\.update_rule is 'gradint'"),
        (
            {"eval.select_by": "0.3:0.7"},
            r"select_by is '0.3:0.7', .*eval\.tiou 0\.1:0\.9:0\.1 .*0\.1:0\.5, 0\.1:0\.7, all",
        ),
        (
            {"eval.tiou": "0.5:0.95:0.05", "eval.select_by": "0.1:0.7"},
            r"select_by is '0.1:0.7', .*eval\.tiou 0\.5:0\.95:0\.05 .*0\.5:0\.95, all",
        ),
        ({"data.name": "nothing"}, r"data set nothing is not prepared"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data_dir, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(small_run(data_dir, **changes), tmp_path)


def test_a_folder_without_a_run_is_refused_and_stays_empty(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        report(tmp_path, {})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def three_seeds(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("three_seeds")
    train(small_run(data_dir, **{"train.seed": 1, "train.seeds": 3}), workdir)
    return workdir


def losses(workdir) -> list[float]:
    lines = [json.loads(line) for line in (workdir / "scalars.jsonl").read_text().splitlines()]
    return [line["total"] for line in lines if "total" in line]


def test_seeds_that_are_trained_together_are_runs_like_any_other(three_seeds, data_dir, tmp_path):
    alone = small_run(data_dir, **{"train.seed": 2})
    train(alone, tmp_path)
    np.testing.assert_allclose(losses(three_seeds / "seed_2"), losses(tmp_path), rtol=1e-4)
    assert losses(three_seeds / "seed_1") != losses(three_seeds / "seed_2")
    together, single = (last_state(alone, folder) for folder in (three_seeds / "seed_2", tmp_path))
    assert together.bank.fit == single.bank.fit
    train(alone, three_seeds / "seed_2")
    assert "last (step 6)" in report(three_seeds / "seed_2", {})


def test_seeds_that_are_trained_together_resume_to_the_same_bytes(three_seeds, data_dir, tmp_path):
    seeds = {"train.seed": 1, "train.seeds": 3}
    train(small_run(data_dir, **seeds, **{"train.steps": 4}), tmp_path)
    # One of them died before its newest checkpoint was complete.
    shutil.rmtree(tmp_path / "seed_2" / "checkpoints" / "last" / "4")
    config = small_run(data_dir, **seeds)
    train(config, tmp_path)
    for name in ("seed_1", "seed_2", "seed_3"):
        states = (last_state(config, folder / name) for folder in (tmp_path, three_seeds))
        jax.tree.map(np.testing.assert_array_equal, *states)
        assert losses(tmp_path / name) == losses(three_seeds / name)


def test_the_report_of_several_seeds_tells_mean_and_standard_deviation(three_seeds):
    table = report(three_seeds, {})
    summary = json.loads((three_seeds / "seeds.json").read_text())["last"]
    values = [json.loads((three_seeds / f"seed_{i}" / "metrics.json").read_text())["mAP"] for i in (1, 2, 3)]
    np.testing.assert_allclose(summary["mAP"]["mean"], np.mean(values, axis=0))
    np.testing.assert_allclose(summary["mAP"]["standard_deviation"], np.std(values, axis=0, ddof=1))
    assert "last (step 6), seed_3" in table and "standard deviation" in table


def test_other_seeds_in_the_same_workdir_are_refused(three_seeds, finished, data_dir, tmp_path):
    with pytest.raises(InputError, match=r"holds seed_1 \.\. seed_3, 3 in all"):
        train(small_run(data_dir, **{"train.seeds": 4}), three_seeds)
    with pytest.raises(InputError, match="holds seed_1"):
        train(small_run(data_dir), three_seeds)
    with pytest.raises(InputError, match="holds a single run"):
        train(small_run(data_dir, **{"train.seeds": 2}), finished)
    for seeds in ({"train.seed": -1}, {"train.seeds": 0}, {"train.seed": 2**31}):
        with pytest.raises(InputError, match=r"config\.train\.seed is"):
            train(small_run(data_dir, **seeds), tmp_path)
    assert not list(tmp_path.iterdir())
