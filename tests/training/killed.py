"""Runs in processes of their own, which are killed on their way."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

from tsc_jax.training import checkpoints


def starter(child: Callable) -> Callable:
    """A function that starts `child` with its arguments in a process that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([child.__module__])

    def start(*arguments):
        process = context.Process(target=child, args=arguments)
        process.start()
        return process

    return start


def steps_on_disk(workdir: Path) -> list[int]:
    """The steps of the newest checkpoints, rising."""
    folder = checkpoints.folder_of(workdir, checkpoints.LAST)
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


def kill_after(process, workdir: Path, step: int, seconds: float = 0.0, patience: float = 120) -> None:
    """Kills a child by SIGKILL some seconds after the checkpoint of `step` is on disk; waits `patience` for that."""
    deadline = time.monotonic() + patience
    while max(steps_on_disk(workdir), default=0) < step and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.join()
