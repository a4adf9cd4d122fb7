"""A run that is told to end saves its step, says so, and goes on when the same command is given again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from configs import thumos14
from tests.training.small import small_run
from tsc_jax.training.recipes import flatten
from tsc_jax.training.trained import open_trained

STEPS = 20
CHANGES = {"train.steps": STEPS, "checkpoint.every_steps": 1000, "eval.after": 20, "eval.every": 1000}


def command(data_dir: Path, workdir: Path) -> list[str]:
    """Of a run that would save only at its end."""
    recipe = flatten(small_run(data_dir, **CHANGES).to_dict())
    published = flatten(thumos14.get_config().to_dict())
    changes = [f"--config.{key}={value}" for key, value in recipe.items() if value != published[key]]
    return [sys.executable, "-m", "launch.train", "--config=configs/thumos14.py", f"--workdir={workdir}", *changes]


def start(data_dir: Path, workdir: Path) -> subprocess.Popen:
    root = Path(__file__).resolve().parents[2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(data_dir, workdir), cwd=root, **pipes)


def test_sigterm_saves_the_step_and_ends_with_75(data_dir, tmp_path):
    whole = start(data_dir, tmp_path / "whole")
    assert whole.wait(timeout=200) == 0

    stopped = start(data_dir, tmp_path / "stopped")
    scalars, deadline = tmp_path / "stopped" / "scalars.jsonl", time.monotonic() + 200
    while not (scalars.exists() and scalars.read_bytes().count(b"\n") >= 3):
        assert stopped.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    stopped.send_signal(signal.SIGTERM)
    _, complaints = stopped.communicate(timeout=100)
    assert stopped.returncode == 75, complaints
    step = open_trained(tmp_path / "stopped").step
    assert 3 <= step < STEPS
    assert complaints.strip().splitlines()[-1].startswith(f"told to end after step {step}, which is saved")

    assert start(data_dir, tmp_path / "stopped").wait(timeout=200) == 0
    whole, stopped = (open_trained(tmp_path / name).about for name in ("whole", "stopped"))
    assert whole == stopped, "all arrays by checksum"
