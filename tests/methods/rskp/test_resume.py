"""A run that is killed around the fill of the memory ends with the very bytes of a run that is not."""

from pathlib import Path

import jax
import pytest

from tests.training.killed import kill_after, starter
from tests.training.small import RECIPES
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

STEPS, FILL = 8, 4  # two epochs of 12 videos, 5 per step, end within step 4


def child(data_dir: Path, workdir: Path) -> None:
    jax.config.update("jax_num_cpu_devices", 1)
    changes = {"train.steps": STEPS, "train.batch_size": 5, "checkpoint.every_steps": 1, "checkpoint.keep": STEPS}
    train(RECIPES["rskp"](data_dir, **changes, **{"eval.after": STEPS, "eval.every": STEPS}), workdir)


def test_a_run_killed_before_and_after_the_fill_ends_with_the_same_bytes(data_dir, tmp_path):
    start, whole, killed = starter(child), tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(data_dir, whole)
    uninterrupted.join()
    for step in (FILL - 1, FILL, FILL + 1):
        kill_after(start(data_dir, killed), killed, step, patience=300)
    last = start(data_dir, killed)
    last.join()
    assert (uninterrupted.exitcode, last.exitcode) == (0, 0)
    one, other = (open_trained(folder).about for folder in (whole, killed))
    assert one == other, "all arrays by checksum"
    assert one["facts"]["memory"]["filled_at_step"] == FILL
    assert (killed / "scalars.jsonl").read_bytes() == (whole / "scalars.jsonl").read_bytes()
