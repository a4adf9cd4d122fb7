"""A run that is killed around the fill of the memory ends with the very bytes of a run that is not."""

import multiprocessing
import time
from pathlib import Path

import jax
import pytest

from tests.training.small import RECIPES
from tsc_jax.training import checkpoints
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

STEPS, FILL = 8, 4  # two epochs of 12 videos, 5 per step, end within step 4


def child(data_dir: Path, workdir: Path) -> None:
    jax.config.update("jax_num_cpu_devices", 1)
    changes = {"train.steps": STEPS, "train.batch_size": 5, "checkpoint.every_steps": 1, "checkpoint.keep": STEPS}
    train(RECIPES["rskp"](data_dir, **changes, **{"eval.after": STEPS, "eval.every": STEPS}), workdir)


def kill_after(process, workdir: Path, step: int) -> None:
    """Kills a child by SIGKILL as soon as the checkpoint of `step` is on disk."""
    deadline = time.monotonic() + 300
    while not (checkpoints.folder_of(workdir, checkpoints.LAST) / str(step)).is_dir() and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.join()


@pytest.fixture
def processes():
    """Processes that have imported everything and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.methods.rskp.test_resume"])
    return context


def test_a_run_killed_before_and_after_the_fill_ends_with_the_same_bytes(data_dir, tmp_path, processes):
    def start(workdir: Path):
        process = processes.Process(target=child, args=(data_dir, workdir))
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    uninterrupted.join()
    for step in (FILL - 1, FILL, FILL + 1):
        kill_after(start(killed), killed, step)
    last = start(killed)
    last.join()
    assert (uninterrupted.exitcode, last.exitcode) == (0, 0)
    one, other = (open_trained(folder).about for folder in (whole, killed))
    assert one == other, "all arrays by checksum"
    assert one["facts"]["memory"]["filled_at_step"] == FILL
    assert (killed / "scalars.jsonl").read_bytes() == (whole / "scalars.jsonl").read_bytes()
