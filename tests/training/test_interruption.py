"""A run that is told to end saves its step, says so, and goes on when the same command is given again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from configs import thumos14
from tests.training.test_run import CLASSES, made_up_source, small_run
from tsc_jax.data import builder
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.replicas import flatten

STEPS = 40
CHANGES = {"train.steps": STEPS, "checkpoint.every_steps": 1000, "eval.after": 30, "eval.every": 1000}


def command(data_dir: Path, workdir: Path) -> list[str]:
    """Of a run that would save only at its end."""
    recipe = flatten(small_run(data_dir, **CHANGES).to_dict())
    published = flatten(thumos14.get_config().to_dict())
    changes = [f"--config.{key}={value}" for key, value in recipe.items() if value != published[key]]
    return [sys.executable, "-m", "launch.train", "--config=configs/thumos14.py", f"--workdir={workdir}", *changes]


def start(data_dir: Path, workdir: Path) -> subprocess.Popen:
    environment = os.environ | {"XLA_FLAGS": ""}
    root = Path(__file__).resolve().parents[2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(data_dir, workdir), cwd=root, env=environment, **pipes)


def test_sigterm_saves_the_step_and_ends_with_75(tmp_path):
    builder.prepare(made_up_source, "made_up", tmp_path / "data")
    whole = start(tmp_path / "data", tmp_path / "whole")
    assert whole.wait(timeout=200) == 0

    stopped = start(tmp_path / "data", tmp_path / "stopped")
    scalars, deadline = tmp_path / "stopped" / "scalars.jsonl", time.monotonic() + 200
    while not (scalars.exists() and scalars.read_bytes().count(b"\n") >= 3):
        assert stopped.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    stopped.send_signal(signal.SIGTERM)
    _, complaints = stopped.communicate(timeout=100)
    assert stopped.returncode == 75, complaints
    (step,) = checkpoints.open_checkpoints(tmp_path / "stopped", checkpoints.LAST).all_steps()
    assert 3 <= step < STEPS
    assert complaints.strip().splitlines()[-1].startswith(f"told to end after step {step}, which is saved")

    assert start(tmp_path / "data", tmp_path / "stopped").wait(timeout=200) == 0
    template = state_template(small_run(tmp_path / "data"), len(CLASSES), 16)
    managers = [checkpoints.open_checkpoints(tmp_path / name, checkpoints.LAST) for name in ("whole", "stopped")]
    jax.tree.map(np.testing.assert_array_equal, *(checkpoints.restore(each, template) for each in managers))
