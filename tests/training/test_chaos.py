"""A run that is killed anywhere ends with the very bytes of a run that is not."""

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.killed import kill_after, starter, steps_on_disk
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


def test_a_run_killed_twenty_times_ends_with_the_same_bytes(data_dir, tmp_path):
    start, whole, killed = starter(child), tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(data_dir, whole)
    uninterrupted.join()
    rng = np.random.default_rng(0)
    for _ in range(KILLS):
        # A few steps on, at any moment, saves included.
        step = max(steps_on_disk(killed), default=0) + int(rng.integers(1, 5))
        kill_after(start(data_dir, killed), killed, step, rng.uniform(0, 0.1))
    last = start(data_dir, killed)
    last.join()
    assert (uninterrupted.exitcode, last.exitcode) == (0, 0)

    assert steps_on_disk(killed)[-1] == STEPS
    for selection in (checkpoints.LAST, checkpoints.BEST_ON_TEST):
        one, other = (open_trained(folder, selection).about for folder in (whole, killed))
        assert one == other, "all arrays by checksum"
    assert (killed / "scalars.jsonl").read_bytes() == (whole / "scalars.jsonl").read_bytes()
