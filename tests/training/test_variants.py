"""A run with class rows that move by evidence, a cosine schedule and averaged weights, from start to export."""

import json

import jax
import numpy as np
import pytest
from tsc_jax.training.initial import state_template

from tests.training.test_run import CLASSES, data_dir, last_state, small_run  # noqa: F401
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import run_network
from tsc_jax.inference import make_forward
from tsc_jax.methods.tscnet import bank_report
from tsc_jax.training import checkpoints
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train

VARIANT = {
    "bank.source": "class_means",
    "bank.update_rule": "ema",
    "optimizer.decay_steps": 4,
    "optimizer.average_decay": 0.9,
    "eval.after": 6,
}


@pytest.fixture(scope="module")
def config(data_dir):  # noqa: F811
    return small_run(data_dir, **VARIANT)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("variant")
    train(config, workdir)
    return workdir


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.decay_steps": -1}, r"config\.optimizer\.decay_steps is -1, expected 0 or more"),
        ({"optimizer.average_decay": 1.5}, r"config\.optimizer\.average_decay is 1\.5, expected 0 to 1"),
        ({"proposals.nms_sigma": 0.0}, r"config\.proposals\.nms_sigma is 0\.0, expected a number above 0"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_anything_is_done(data_dir, tmp_path, changes, message):  # noqa: F811
    with pytest.raises(InputError, match=message):
        train(small_run(data_dir, **changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_resumes_to_the_same_bytes(config, finished, data_dir, tmp_path):  # noqa: F811
    train(small_run(data_dir, **VARIANT, **{"train.steps": 4}), tmp_path)
    train(config, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, last_state(config, tmp_path), last_state(config, finished))


def test_nothing_is_learnt_once_the_schedule_has_ended(config, finished):
    manager, template = checkpoints.open_checkpoints(finished, "last"), state_template(config, len(CLASSES), 16)
    ended, later = (checkpoints.restore_step(manager, template, step) for step in (4, 6))
    jax.tree.map(np.testing.assert_array_equal, ended.params, later.params)
    assert (ended.bank.rows != later.bank.rows).any(), "the rows still move by what the videos show"
    assert (later.bank.usage > ended.bank.usage).all()


def test_inference_uses_the_averages_and_an_export_carries_them(config, finished, data_dir, tmp_path):  # noqa: F811
    state, dataset = last_state(config, finished), open_dataset(data_dir, "made_up")
    forward = make_forward(config.model, len(CLASSES), dataset.width)
    own = {name: state.averages[name] for name in ("params", "batch_stats")}
    averaged = state.replace(**own, bank=state.bank.replace(rows=state.averages["rows"]), averages={})
    found, expected, newest = (
        np.concatenate(run_network(forward, each, dataset.test, config)[0])
        for each in (state, averaged, state.replace(averages={}))
    )
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - newest).max() > 1e-3

    export_run(finished, tmp_path / "out", "last", "float32", [])
    exported = last_state(config, tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, exported, averaged.replace(opt_state=()))
    assert "row" in bank_report.report_bank(tmp_path / "out", "last", "test", {})


def test_the_bank_of_a_run_is_shown(finished, data_dir):  # noqa: F811
    table = bank_report.report_bank(finished, "last", "train", {"data.data_dir": str(data_dir)})
    known = json.loads((finished / "bank.json").read_text())
    assert known["classes"] == [*CLASSES, "background"] and (known["step"], known["split"]) == (6, "train")
    assert known["fit"]["source"] == "class_means" and min(known["evidence"]) > 0
    np.testing.assert_allclose(np.sum(known["attention"], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.sum(known["usage"]), 1, rtol=1e-5)
    lines = table.splitlines()
    assert len(lines) == 1 + 1 + 4 + 1 + 1 and lines[1].endswith("evidence in snippets")
    assert (finished / "bank.png").read_bytes().startswith(b"\x89PNG")


def test_a_bank_that_cannot_be_shown_is_one_sentence(finished, config, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="holds no checkpoint of"):
        bank_report.report_bank(tmp_path, "last", "test", {})
    with pytest.raises(InputError, match="holds no checkpoint 'best_on_holdout'"):
        bank_report.report_bank(finished, "best_on_holdout", "test", {})
    (tmp_path / "seed_3").mkdir()
    with pytest.raises(InputError, match=r"holds 1 runs; give one of them, .*seed_3 for example"):
        bank_report.report_bank(tmp_path, "last", "test", {})
    with pytest.raises(InputError, match=r"config\.model\.dsa is False, so no snippet attends to the bank"):
        bank_report.report_bank(finished, "last", "test", {"model.dsa": False})
