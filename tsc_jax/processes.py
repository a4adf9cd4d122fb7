"""Several processes that work as one run, on one machine or on many."""

import contextlib
import faulthandler
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

HEARTBEAT_SECONDS = 30  # after which a silent process is given up, and with it the run
PATIENCE_SECONDS = 7 * 24 * 3600  # of processes that wait for the work of process 0 while it is alive


def join(coordinator: str | None, process_id: int | None, num_processes: int | None) -> None:
    """Makes this process one of a run's.

    Args:
      coordinator: HOST:PORT of process 0; None: a TPU pod, Slurm or GKE is asked, for the other two as well.
      process_id: of this process, from 0.
      num_processes: of the run.

    Raises:
      InputError: some of the three but not all, or nothing that could be asked.
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
    """Ends this process where another one of the run is gone; JAX's coordination service then tells which.

    Without it the traceback of whatever was being computed would be all that is seen.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0][:200]
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


def of_each(array: np.ndarray) -> np.ndarray:
    """What each process says, in each of them, bit for bit: the arrays, of one shape, stacked by process."""
    array = np.asarray(array)
    if jax.process_count() == 1:
        return array[None]
    # As bytes: JAX would make float32 of float64.
    stacked = np.asarray(multihost_utils.process_allgather(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))
    return stacked.view(array.dtype).reshape(-1, *array.shape)


def of_first(array: np.ndarray, facts: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns what process 0 holds, in every process: an array, whose shape is the same in all, and plain JSON.

    The other processes wait while process 0 is alive. A collective alone would give up after 30 seconds on CPUs.
    """
    ocp.multihost.get_barrier_sync_fn()(key="of_first", timeout_ms=PATIENCE_SECONDS * 1000)
    text = json.dumps(facts).encode()
    length = of_each(len(text))[0]
    text = np.frombuffer(text.ljust(length)[:length], np.uint8)
    return of_each(array)[0], json.loads(of_each(text)[0].tobytes())


def share(indices: np.ndarray, process: int | None = None) -> np.ndarray:
    """Those of `indices` that are a process's to work on, by default this one's."""
    return indices[(jax.process_index() if process is None else process) :: jax.process_count()]


def gather(arrays: Mapping[int, np.ndarray], indices: np.ndarray, lengths: np.ndarray, width: int) -> dict:
    """The arrays of all processes, in each of them.

    Args:
      arrays: this process's, float32 [lengths[i], width] for every i of `share(indices)`.
      indices: of all processes.
      lengths: [max(indices) + 1].
      width: the same for all.
    """
    if jax.process_count() == 1:
        return dict(arrays)
    shares = [share(indices, process) for process in range(jax.process_count())]
    rows = np.zeros((max(lengths[each].sum() for each in shares), width), np.float32)
    own = shares[jax.process_index()]
    if len(own):
        rows[: lengths[own].sum()] = np.concatenate([arrays[index] for index in own])
    everything = {}
    for each, gathered in zip(shares, np.asarray(multihost_utils.process_allgather(rows)), strict=True):
        parts = np.split(gathered, np.cumsum(lengths[each]))
        everything |= dict(zip(map(int, each), parts, strict=False))
    return everything
