"""A run that is killed anywhere ends with the very bytes of a run that is not."""

import json
import multiprocessing
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.test_run import CLASSES, made_up_source, small_run
from tsc_jax.data import builder
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.loop import train

STEPS, KILLS = 60, 20


def long_run(data_dir: Path):
    often = {"train.batch_size": 2, "train.pairs": 1, "checkpoint.every_steps": 1}
    seldom = {"eval.after": 20, "eval.every": 20, "train.log_every": 1}
    return small_run(data_dir, **{"train.steps": STEPS}, **often, **seldom)


def child(data_dir: Path, workdir: Path) -> None:
    jax.config.update("jax_num_cpu_devices", 1)
    train(long_run(data_dir), workdir)


def steps_on_disk(workdir: Path) -> list[int]:
    folder = workdir / "checkpoints" / checkpoints.LAST
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


def kill_somewhere(process, workdir: Path, rng: np.random.Generator) -> None:
    """Lets a child come a few steps on, then kills it at any moment, saves included."""
    before = max(steps_on_disk(workdir), default=0)
    target, deadline = before + int(rng.integers(1, 5)), time.monotonic() + 120
    while max(steps_on_disk(workdir), default=0) < target and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    process.join()


@pytest.fixture
def processes():
    """Processes that have imported everything and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.test_chaos"])
    return context


def test_a_run_killed_twenty_times_ends_with_the_same_bytes(tmp_path, processes):
    builder.prepare(made_up_source, "made_up", tmp_path / "data")

    def start(workdir: Path):
        process = processes.Process(target=child, args=(tmp_path / "data", workdir))
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    uninterrupted.join()
    rng, deaths = np.random.default_rng(0), 0
    for _ in range(KILLS):
        process = start(killed)
        kill_somewhere(process, killed, rng)
        deaths += process.exitcode == -9
    assert deaths >= 15, "a run that is over cannot be killed"
    last = start(killed)
    last.join()
    assert (uninterrupted.exitcode, last.exitcode) == (0, 0)

    assert steps_on_disk(killed)[-1] == STEPS
    for selection in (checkpoints.LAST, checkpoints.BEST_ON_TEST):
        managers = [checkpoints.open_checkpoints(folder, selection) for folder in (whole, killed)]
        template = state_template(long_run(tmp_path / "data"), len(CLASSES), 16)
        states = [checkpoints.restore(manager, template) for manager in managers]
        jax.tree.map(np.testing.assert_array_equal, *states)
        one, other = (checkpoints.read_about(manager) for manager in managers)
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (killed / "scalars.jsonl").read_bytes() == (whole / "scalars.jsonl").read_bytes()
