"""Processes that work as one run take the steps of one process, and tell each other what process 0 holds."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.small import RECIPES
from tsc_jax import processes as pods
from tsc_jax.errors import InputError
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LATE_SECONDS = 35  # a collective gives up after 30
WORKER = f"""
import json, sys, time
import numpy as np
from tsc_jax import processes

port, process = sys.argv[1], int(sys.argv[2])
processes.join("localhost:" + port, process, 2)
for late in ({LATE_SECONDS}, 0):
    first = processes.is_first()
    time.sleep(late if first else 0)
    array, facts = processes.of_first(np.array([process + 1 / 3, -0.0]), {{"late": late}} if first else {{}})
    print("told", json.dumps([array.tolist(), str(array.dtype), facts]), flush=True)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def start(
    processes: int, devices: int, data_dir: Path, workdir: Path | list[Path], name: str = "toy", *more: int
) -> list[subprocess.Popen]:
    """Starts `worker`, one for each process; they may have a workdir each."""
    workdirs = [workdir] * processes if isinstance(workdir, Path) else workdir
    program, shape = [sys.executable, "-m", "tests.training.worker"], [str(free_port()), str(processes)]
    return [
        subprocess.Popen(
            [*program, *shape, str(i), str(devices), data_dir, workdirs[i], name, *map(str, more)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]


def run(processes: int, devices: int, data_dir: Path, workdir: Path, *more) -> None:
    """Runs them to their end; fails with all their output where one fails."""
    workers = start(processes, devices, data_dir, workdir, *more)
    try:
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert not any(worker.returncode for worker in workers), "\n\n".join(outputs)


def scalars(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "scalars.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def late():
    """Two processes, of which the first keeps the second waiting while other tests run."""
    port = str(free_port())
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, port, str(process)],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(2)
    ]
    yield workers
    for worker in workers:
        worker.kill()
        worker.communicate()


@pytest.mark.usefixtures("late")
def test_any_number_of_processes_takes_the_same_steps(data_dir, tmp_path):
    losses = {}
    for processes, devices in ((1, 8), (2, 4), (4, 2)):
        workdir = tmp_path / f"{processes}x{devices}"
        run(processes, devices, data_dir, workdir, "tscnet", 20)
        reports = [json.loads((workdir / f"{i}.json").read_text()) for i in range(processes)]
        digests = [digest for report in reports for digest in report["digests"].values()]
        assert len(digests) == 8 and len(set(digests)) == 1
        assert all(report["losses"] == reports[0]["losses"] for report in reports)
        assert all(report["told"] == [i + 1 / 3 for i in range(processes)] for report in reports), "in full precision"
        assert all(report["told_lengths"] == list(range(processes)) for report in reports)
        losses[processes] = reports[0]["losses"]
    np.testing.assert_allclose(losses[2], losses[1], rtol=1e-5)
    np.testing.assert_allclose(losses[4], losses[1], rtol=1e-5)


def test_two_processes_equal_one(data_dir, tmp_path):
    run(1, 4, data_dir, tmp_path / "one")
    run(2, 2, data_dir, tmp_path / "two")
    one, two = scalars(tmp_path / "one"), scalars(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("total", "test/mAP@all"):
        values = [[line[name] for line in lines if name in line] for lines in (one, two)]
        np.testing.assert_allclose(*values, rtol=1e-3)
    assert (tmp_path / "two" / "checkpoints" / "last" / "6").is_dir()


def test_where_one_process_is_killed_the_other_ends_and_a_restart_gives_the_same_bytes(data_dir, tmp_path):
    run(2, 2, data_dir, tmp_path / "whole")

    first, second = start(2, 2, data_dir, tmp_path / "killed")
    try:
        deadline = time.monotonic() + 200
        while not (tmp_path / "killed" / "checkpoints" / "last" / "2").is_dir():
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.01)
        second.kill()
        output, _ = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode != 0, output
    told, named = "another process of the run is gone", r"task:1|Task 1|stopped sending heartbeats\):\s+1\b"
    assert told in output or re.search(named, output), output
    run(2, 2, data_dir, tmp_path / "killed")

    whole, killed = (open_trained(tmp_path / name) for name in ("whole", "killed"))
    assert whole.step == killed.step == 6
    assert whole.about == killed.about, "all arrays by checksum"
    assert (tmp_path / "whole" / "scalars.jsonl").read_bytes() == (tmp_path / "killed" / "scalars.jsonl").read_bytes()


def test_a_workdir_that_not_all_processes_share_is_refused(data_dir, tmp_path):
    run(1, 2, data_dir, tmp_path / "held")
    workers = start(2, 1, data_dir, [tmp_path / "held", tmp_path / "empty"])
    for worker in workers:
        output, _ = worker.communicate(timeout=200)
        assert worker.returncode and "the processes see the newest steps [6, 0] there" in output


def test_a_device_that_is_out_of_memory_is_not_told_as_a_lost_process(monkeypatch):
    error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.\nmore")
    for number, told in ((1, "^a device is out of memory"), (2, "^process 0: a device is out of memory")):
        monkeypatch.setattr(jax, "process_count", lambda number=number: number)
        with pytest.raises(InputError, match=f"{told}.*lower config.train.batch_size"), pods.ends_with_its_peers():
            raise error


def test_process_0_decides_which_step_is_damaged(data_dir, tmp_path, monkeypatch):
    """Where it reads a step that another process cannot, that process says so instead of going back alone."""
    from tsc_jax.training import checkpoints, loop

    config = RECIPES["toy"](data_dir)
    loop.train(config, tmp_path)
    path = next((checkpoints.folder_of(tmp_path, "last") / "6" / "about").iterdir())
    path.write_text(path.read_text().replace("made_up", "made-up"))
    answers = iter([np.array([True, False])])
    real = pods.of_each
    monkeypatch.setattr(
        pods, "of_each", lambda array: next(answers) if np.asarray(array).dtype == bool else real(array)
    )
    with pytest.raises(InputError, match=r"step 6: damaged: .*but process 0 could read it"):
        loop.train(config, tmp_path)


def test_the_others_wait_for_the_first_and_learn_its_numbers_bit_for_bit(late):
    outputs = [worker.communicate(timeout=300)[0] for worker in late]
    for worker, output in zip(late, outputs, strict=True):
        told = [json.loads(line[5:]) for line in output.splitlines() if line.startswith("told ")]
        assert worker.returncode == 0 and len(told) == 2, output
        for (array, dtype, facts), seconds in zip(told, (LATE_SECONDS, 0), strict=True):
            assert dtype == "float64" and facts == {"late": seconds}
            assert np.array(array).tobytes() == np.array([1 / 3, -0.0]).tobytes()


def test_one_process_holds_what_it_held():
    array, facts = pods.of_first(np.arange(3, dtype=np.float32), {"converged": True, "loss": 0.1})
    assert array.dtype == np.float32 and array.tolist() == [0, 1, 2] and facts == {"converged": True, "loss": 0.1}
