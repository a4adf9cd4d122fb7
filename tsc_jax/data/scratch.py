"""A folder to write into, of which nothing remains whatever ends the program."""

import contextlib
import fcntl
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

PREFIX = "incomplete."


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder in `folder`, and deletes it at the end; deletes those that killed processes left.

    A process holds a lock on a file beside its folder, which the system releases when the process ends, on any machine
    that shares the disk.
    """
    for leftover in folder.glob(f"{PREFIX}*.lock"):
        with contextlib.suppress(OSError), leftover.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover.with_suffix(""), ignore_errors=True)
            leftover.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(prefix=PREFIX, suffix=".lock", dir=folder) as lock:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scratch = Path(lock.name).with_suffix("")
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the block as Ctrl-C does, so that it cleans up; the exit code is 143."""

    def end(*_) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():  # which cannot receive signals
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
