"""Runs are read while they train, left, stopped and resumed; numbers that are not finite are never saved."""

import concurrent.futures
import contextlib
import multiprocessing
import shutil
import threading

import numpy as np
import orbax.checkpoint as ocp
import pytest

import tsc_jax
from tests.training.small import arrays, steps, toy_run
from tsc_jax.errors import InputError, PreemptedError
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints, loop
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

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


def test_every_checkpoint_manager_is_closed_whatever_ends_a_training(toy_finished, data_dir, tmp_path, monkeypatch):
    """One that is left open prints tracebacks of its threads at the end of the program, now and then."""
    opened, closed = [], []

    class Watched(ocp.CheckpointManager):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

        def close(self):
            super().close()
            closed.append(self)

    monkeypatch.setattr(ocp, "CheckpointManager", Watched)
    not_finite = NAN | {"checkpoint.every_steps": 2}
    for changes, workdir in (({"train.seed": 1}, toy_finished), ({"method": "toi"}, tmp_path), (not_finite, tmp_path)):
        with pytest.raises(InputError):
            train(toy_run(data_dir, **changes), workdir)
    for selection in ("last", "best_on_holdout"):
        with contextlib.suppress(InputError):
            open_trained(toy_finished, selection)
    assert opened and {*map(id, opened)} == {*map(id, closed)}


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
