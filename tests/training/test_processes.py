"""Two processes with two devices each train as one process with four."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.training.test_run import made_up_source
from tsc_jax.data import builder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def run(processes: int, devices: int, data_dir: Path, workdir: Path) -> list[dict]:
    """The scalars of a run over several processes; all their output where one fails."""
    shape = [str(free_port()), str(processes)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.worker", *shape, str(i), str(devices), data_dir, workdir],
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]
    try:
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert not any(worker.returncode for worker in workers), "\n\n".join(outputs)
    return [json.loads(line) for line in (workdir / "scalars.jsonl").read_text().splitlines()]


def test_two_processes_equal_one(tmp_path):
    builder.prepare(made_up_source, "made_up", tmp_path / "data")
    one = run(1, 4, tmp_path / "data", tmp_path / "one")
    two = run(2, 2, tmp_path / "data", tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    losses = [[line["total"] for line in lines if "total" in line] for lines in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert (tmp_path / "two" / "checkpoints" / "last" / "6").is_dir()
