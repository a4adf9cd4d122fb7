"""A run that is killed during a refresh ends with the very bytes of a run that is not."""

import multiprocessing
import os
import signal
from pathlib import Path

import jax
import pytest

from tests.training.small import small_recipe
from tsc_jax.training import loop
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained


def run(data_dir: Path):
    """Refreshes before steps 2 and 4 (counted from 0), of 12 videos in batches of 5."""
    changes = {"train.batch_size": 5, "train.steps": 6, "checkpoint.every_steps": 1, "eval.after": 6}
    return small_recipe("mmsd", data_dir, **changes)


def child(data_dir: Path, workdir: Path, kill_before: int) -> None:
    """Trains; kills itself after the refresh before step `kill_before`, if there is one."""
    jax.config.update("jax_num_cpu_devices", 1)
    refresh = loop.refresh

    def refresh_or_die(own, method, state):
        renewed = refresh(own, method, state)
        if int(state.step) == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return renewed

    loop.refresh = refresh_or_die
    train(run(data_dir), workdir)


@pytest.mark.slow
def test_a_run_killed_during_each_refresh_ends_with_the_same_bytes(data_dir, tmp_path):
    processes = multiprocessing.get_context("spawn")

    def start(name: str, kill_before: int) -> int:
        process = processes.Process(target=child, args=(data_dir, tmp_path / name, kill_before))
        process.start()
        process.join()
        return process.exitcode

    assert start("whole", -1) == 0
    assert [start("killed", step) for step in (2, 4, -1)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    whole, killed = (open_trained(tmp_path / name) for name in ("whole", "killed"))
    assert whole.step == killed.step == 6
    assert whole.about == killed.about, "all arrays by checksum"
    assert whole.about["facts"]["pseudo_labels"]["step"] == 4
    assert (tmp_path / "whole" / "scalars.jsonl").read_bytes() == (tmp_path / "killed" / "scalars.jsonl").read_bytes()
