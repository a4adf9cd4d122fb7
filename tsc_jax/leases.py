"""The lease of a workdir in a bucket, where no lock is given back by a process that died."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tsc_jax.buckets import SECONDS, blob_of, reason_of
from tsc_jax.errors import InputError

BEAT, PATIENCE = 10, 30  # seconds between renewals of a lease, and without any after which it is void
_HELD: set[str] = set()  # the leases of this process


@contextlib.contextmanager
def leased(where: str, folder: Path) -> Iterator[None]:
    """Holds a folder for one training by an object there, which is renewed while the process lives.

    Of several trainings one gets the lease, whatever their timing: the object is replaced only where it is the one that
    was read. The lease of a process that died is taken over, at once where it died on this machine, otherwise after
    PATIENCE seconds without renewal. A process that was halted for longer is interrupted within BEAT seconds after it
    wakes; what it writes until then is not prevented.

    Raises:
      InputError: another process trains there, or the folder cannot be written.
    """
    blob = blob_of(folder / ".lock")
    holder = json.dumps({"id": uuid.uuid4().hex, "process": os.getpid(), "machine": _machine()})
    _take(where, blob, holder)
    _HELD.add(holder)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(where, blob, holder, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        _HELD.remove(holder)
        with contextlib.suppress(Exception):  # then it is void after PATIENCE seconds
            blob.delete(if_generation_match=blob.generation, timeout=SECONDS, retry=None)


def _take(where: str, blob: Any, holder: str) -> None:
    """Writes the lease where nobody alive holds it; InputError otherwise."""
    from google.api_core.exceptions import PreconditionFailed

    try:
        generation, text = _read_lease(blob)
        if generation and not _died_here(text):
            print(f"{where}: watching for {PATIENCE} seconds whether another process trains there", file=sys.stderr)
            generation = _unrenewed(blob, generation)
        _write_lease(blob, holder, generation)
    except PreconditionFailed:
        raise InputError(f"{where}: another process trains there; wait for it or end it") from None
    except Exception as error:
        raise InputError(f"{where}: cannot be written ({reason_of(error)})") from None


def _unrenewed(blob: Any, generation: int) -> int:
    """The generation of a lease after PATIENCE seconds, 0 where it was given back; PreconditionFailed if renewed."""
    from google.api_core.exceptions import PreconditionFailed

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(BEAT / 5)
        now, _ = _read_lease(blob)
        if now not in (0, generation):
            raise PreconditionFailed("renewed")
        if not now:
            return now
    return generation


def _renew(where: str, blob: Any, holder: str, ended: threading.Event) -> None:
    """Renews the lease until `ended`; interrupts the program where another process has it."""
    from google.api_core.exceptions import PreconditionFailed

    while not ended.wait(BEAT):
        with contextlib.suppress(Exception):  # tried again at the next beat
            try:
                _write_lease(blob, holder, blob.generation)
            except PreconditionFailed:
                generation, text = _read_lease(blob)
                if text == holder:  # the answer to the last renewal was lost
                    _write_lease(blob, holder, generation)
                    continue
                print(f"{where}: another process trains there since this one was halted", file=sys.stderr)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                return


def _read_lease(blob: Any) -> tuple[int, str]:
    """Generation and text of a lease, 0 and "" where nobody has it."""
    from google.api_core.exceptions import NotFound

    held = blob.bucket.blob(blob.name)  # `blob` itself knows the generation that this process wrote
    try:
        held.reload(timeout=SECONDS, retry=None)
        return held.generation, held.download_as_text(timeout=SECONDS, retry=None)
    except NotFound:
        return 0, ""


def _write_lease(blob: Any, holder: str, generation: int) -> None:
    blob.upload_from_string(holder, if_generation_match=generation, timeout=SECONDS, retry=None)


def _died_here(text: str) -> bool:
    """Whether the process that wrote a lease was one of this machine, and is gone."""
    try:
        held = json.loads(text)
        if held["machine"] is None or held["machine"] != _machine():
            return False
        os.kill(held["process"], 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return held["process"] == os.getpid() and text not in _HELD


def _machine() -> str | None:
    """Names the run of the operating system, and the container, in which a number of a process has a meaning."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
