"""Several seeds that are trained together are runs like any other."""

import contextlib
import json
import shutil
import types

import jax
import numpy as np
import pytest

from tests.training.small import arrays, losses, small_run, toy_run
from tsc_jax.errors import InputError
from tsc_jax.report.run import report
from tsc_jax.training import loop
from tsc_jax.training.loop import train
from tsc_jax.training.runs import check_together


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


def test_on_a_single_processor_seeds_train_one_after_the_other(data_dir, tmp_path, monkeypatch, capsys):
    runs = [object(), object()]
    assert loop.groups_of(runs) == [runs]  # the tests see eight devices
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert loop.groups_of(runs) == [runs[:1], runs[1:]]
    monkeypatch.undo()
    monkeypatch.setattr(loop, "groups_of", lambda runs: [[run] for run in runs])
    config = toy_run(data_dir, **{"train.seeds": 2})
    train(config, tmp_path / "both")
    printed = capsys.readouterr().out
    assert "step 6/6  seed_0 " in printed and "step 6/6  seed_1 test: " in printed
    train(toy_run(data_dir, **{"train.seed": 1}), tmp_path / "alone")
    assert arrays(tmp_path / "both" / "seed_1") == arrays(tmp_path / "alone")
    assert losses(tmp_path / "both" / "seed_1") == losses(tmp_path / "alone")
    shutil.rmtree(tmp_path / "both" / "seed_1" / "checkpoints")  # killed while the first one trained
    train(config, tmp_path / "both")
    assert losses(tmp_path / "both" / "seed_1") == losses(tmp_path / "alone")


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
        with pytest.raises(InputError, match=r"config\.train\.seeds? is"):
            train(toy_run(data_dir, **seeds), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("batches", "refused"), [("epochs", True), ("pairs", False)])
def test_seeds_that_hold_out_different_numbers_have_no_common_epochs(data_dir, batches, refused):
    config = small_run(data_dir, **{"train.batches": batches})
    runs = [
        types.SimpleNamespace(config=config, train_split=types.SimpleNamespace(videos=range(number)))
        for number in (6, 7)
    ]
    raises = pytest.raises(InputError, match="leaves from 6 to 7 training videos in 2 seeds")
    with raises if refused else contextlib.nullcontext():
        check_together(runs)
