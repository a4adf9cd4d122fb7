"""A run that is told to end saves its step, says so, and goes on when the same command is given again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flax.traverse_util import flatten_dict

from configs import thumos14
from tests.training.small import small_run
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

CHANGES = {"checkpoint.every_steps": 10**6, "eval.after": 10**6}


def start(data_dir: Path, workdir: Path, steps: int) -> subprocess.Popen:
    """A run that would save only at its end."""
    recipe = flatten_dict(small_run(data_dir, **CHANGES, **{"train.steps": steps}).to_dict(), sep=".")
    published = flatten_dict(thumos14.get_config().to_dict(), sep=".")
    changes = [f"--config.{key}={value}" for key, value in recipe.items() if value != published[key]]
    command = [sys.executable, "-m", "launch.train", "--config=configs/thumos14.py", f"--workdir={workdir}", *changes]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], **pipes)


def test_sigterm_saves_the_step_and_ends_with_75(data_dir, tmp_path):
    stopped = start(data_dir, tmp_path / "stopped", 10**6)
    scalars, deadline = tmp_path / "stopped" / "scalars.jsonl", time.monotonic() + 300
    while not (scalars.exists() and scalars.read_bytes().count(b"\n") >= 3):
        assert stopped.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    stopped.send_signal(signal.SIGTERM)
    _, complaints = stopped.communicate(timeout=300)
    assert stopped.returncode == 75, complaints
    step = open_trained(tmp_path / "stopped").step
    assert step >= 3
    assert complaints.strip().splitlines()[-1].startswith(f"told to end after step {step}, which is saved")

    for name in ("stopped", "whole"):
        run = start(data_dir, tmp_path / name, step + 3)
        _, complaints = run.communicate(timeout=300)
        assert run.returncode == 0, complaints
    whole, stopped = (open_trained(tmp_path / name).about for name in ("whole", "stopped"))
    assert whole == stopped, "all arrays by checksum"
