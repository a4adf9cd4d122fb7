"""Several processes that work as one run, on one machine or on many."""

import contextlib
import faulthandler
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from tsc_jax.errors import InputError

HEARTBEAT_SECONDS = 30  # of silence, after which a process counts as gone and the run ends
PATIENCE_SECONDS = 7 * 24 * 3600  # for which processes wait for work of process 0 while it is alive


def join(coordinator: str | None, process_id: int | None, num_processes: int | None) -> None:
    """Makes this process one of the processes of a run, of which `coordinator` is HOST:PORT of process 0.

    Where all three are None, a TPU pod, Slurm or GKE is asked.

    Raises:
      InputError: only some of the three are given, or the other processes are not found.
    """
    given = (coordinator, process_id, num_processes)
    if any(value is None for value in given) and any(value is not None for value in given):
        raise InputError("--coordinator, --process_id and --num_processes go together: give all three or none")
    if process_id is not None and not 0 <= process_id < num_processes:
        raise InputError(f"--process_id is {process_id}, expected 0 to {num_processes - 1} (--num_processes)")
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--distributed: the other processes were not found ({reason}); outside of a TPU pod, Slurm and GKE give"
            " --coordinator, --process_id and --num_processes"
        ) from error


@contextlib.contextmanager
def ends_with_its_peers() -> Iterator[None]:
    """Ends this process where another one of the run is gone; JAX's coordination service then names it.

    Without it, the user would see nothing but the traceback of the computation that was interrupted.

    Raises:
      InputError: a device of this process has too little memory.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        if "RESOURCE_EXHAUSTED" in reason:
            own = f"process {jax.process_index()}: " if jax.process_count() > 1 else ""
            raise InputError(
                f"{own}a device is out of memory; expected less per device: lower config.train.batch_size,"
                f" config.train.snippets or config.eval.batch_snippets, or use more devices ({reason})"
            ) from error
        if jax.process_count() == 1:
            raise
        print(
            f"process {jax.process_index()}: another process of the run is gone; which one follows within"
            f" {HEARTBEAT_SECONDS} seconds; the same command goes on from the last checkpoint ({reason})",
            file=sys.stderr,
            flush=True,
        )
        faulthandler.disable()  # it would print every thread when the coordination service ends the process
        time.sleep(HEARTBEAT_SECONDS + 15)
        os._exit(1)


def is_first() -> bool:
    """Whether this process is the one that writes, logs and draws."""
    return jax.process_index() == 0


def from_first(value: np.ndarray | float) -> np.ndarray:
    """The array or number of process 0, in every process."""
    return of_each(np.asarray(value))[0]


def of_each(array: np.ndarray) -> np.ndarray:
    """The arrays of all processes, of one shape, stacked by process, in every process, bit for bit."""
    array = np.asarray(array)
    if jax.process_count() == 1:
        return array[None]
    # As bytes: JAX would make float32 of float64.
    stacked = np.asarray(multihost_utils.process_allgather(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))
    return stacked.view(array.dtype).reshape(-1, *array.shape)


def of_first(array: np.ndarray, facts: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of process 0, of the same shape in all, and its plain JSON values, in every process.

    The other processes wait while process 0 is alive. A collective alone would give up after 30 seconds on CPUs.
    """
    ocp.multihost.get_barrier_sync_fn()(key="of_first", timeout_ms=PATIENCE_SECONDS * 1000)
    return from_first(array), json.loads(bytes_of_each(json.dumps(facts).encode())[0])


def share(indices: np.ndarray, process: int | None = None) -> np.ndarray:
    """The part of `indices` that a process works on, by default this process."""
    return indices[(jax.process_index() if process is None else process) :: jax.process_count()]


def gather(arrays: Mapping[int, Mapping[str, np.ndarray]]) -> dict[int, dict[str, np.ndarray]]:
    """The named arrays by index that all processes hold, in each of them; no two processes hold one index."""
    if jax.process_count() == 1:
        return dict(arrays)
    own = io.BytesIO()
    np.savez(own, **{f"{index}/{name}": array for index, of in arrays.items() for name, array in of.items()})
    everything: dict[int, dict[str, np.ndarray]] = {}
    for content in bytes_of_each(own.getvalue()):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            for key in file.files:
                index, name = key.split("/", 1)
                everything.setdefault(int(index), {})[name] = file[key]
    return everything


def bytes_of_each(content: bytes) -> list[bytes]:
    """The bytes that each process holds, in every process."""
    lengths = of_each(np.array(len(content)))
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    return [row[:length].tobytes() for row, length in zip(of_each(padded), lengths, strict=True)]
