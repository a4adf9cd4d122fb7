"""Processes of one run tell each other what process 0 holds, however late it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_processes import free_port
from tsc_jax import processes

pytestmark = pytest.mark.slow

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


def test_the_others_wait_for_the_first_and_learn_its_numbers_bit_for_bit():
    port = str(free_port())
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, port, str(process)],
            cwd=Path(__file__).resolve().parents[1],
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(2)
    ]
    try:
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, output in zip(workers, outputs, strict=True):
        told = [json.loads(line[5:]) for line in output.splitlines() if line.startswith("told ")]
        assert worker.returncode == 0 and len(told) == 2, output
        for (array, dtype, facts), late in zip(told, (LATE_SECONDS, 0), strict=True):
            assert dtype == "float64" and facts == {"late": late}
            assert np.array(array).tobytes() == np.array([1 / 3, -0.0]).tobytes()


def test_one_process_holds_what_it_held():
    array, facts = processes.of_first(np.arange(3, dtype=np.float32), {"converged": True, "loss": 0.1})
    assert array.dtype == np.float32 and array.tolist() == [0, 1, 2] and facts == {"converged": True, "loss": 0.1}
