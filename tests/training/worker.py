"""One process of a run over several; arguments: PORT PROCESSES PROCESS DEVICES DATA_DIR WORKDIR."""

import sys
from pathlib import Path

import jax

from tests.training.test_run import small_run
from tsc_jax.training.loop import train

if __name__ == "__main__":
    port, processes, process, devices = map(int, sys.argv[1:5])
    jax.config.update("jax_num_cpu_devices", devices)
    if processes > 1:
        jax.distributed.initialize(f"localhost:{port}", processes, process)
    train(small_run(sys.argv[5], **{"train.pairs": 4}), Path(sys.argv[6]))
