"""A run that is killed anywhere ends with the very bytes of a run that is not."""

import multiprocessing
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.small import toy_run
from tsc_jax.training import checkpoints
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

STEPS, KILLS = 60, 20


def long_run(data_dir: Path):
    often = {"train.batch_size": 2, "train.pairs": 1, "checkpoint.every_steps": 1}
    seldom = {"eval.after": 20, "eval.every": 20, "train.log_every": 1}
    return toy_run(data_dir, **{"train.steps": STEPS, "toy.refresh_at": (0, 20, 40)}, **often, **seldom)


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


def test_a_run_killed_twenty_times_ends_with_the_same_bytes(data_dir, tmp_path, processes):
    def start(workdir: Path):
        process = processes.Process(target=child, args=(data_dir, workdir))
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    uninterrupted.join()
    rng = np.random.default_rng(0)
    for _ in range(KILLS):
        kill_somewhere(start(killed), killed, rng)
    last = start(killed)
    last.join()
    assert (uninterrupted.exitcode, last.exitcode) == (0, 0)

    assert steps_on_disk(killed)[-1] == STEPS
    for selection in (checkpoints.LAST, checkpoints.BEST_ON_TEST):
        one, other = (open_trained(folder, selection).about for folder in (whole, killed))
        assert one == other, "all arrays by checksum"
    assert (killed / "scalars.jsonl").read_bytes() == (whole / "scalars.jsonl").read_bytes()
