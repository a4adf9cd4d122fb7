"""Folders in buckets of Google Cloud Storage, gs://BUCKET/FOLDER, where a run or an export may be.

Everything that knows of buckets is here; elsewhere their paths are etils.epath.Path, used like pathlib.Path. A bucket
has no folders, no renaming and no appending: an object is written whole by one request, which replaces an earlier one.
"""

import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tsc_jax.errors import InputError

SCHEME = "gs://"
_HELD: set[str] = set()  # the leases of this process
CACHE = Path("~/.cache/tsc_jax/data").expanduser()  # of data sets that are in buckets
SECONDS = 10  # that a bucket has to answer the first request
RETRIED = 30  # seconds for which a file is sent again where the network fails
BEAT, PATIENCE = 10, 30  # seconds between renewals of a lease, and without any after which it is void
COMMITTED = "commit_success.txt"  # orbax counts a folder in a bucket as complete where it holds this


def in_bucket(path: str | os.PathLike) -> bool:
    """Whether a path is in a bucket."""
    return os.fspath(path).startswith(SCHEME)


def open_path(path: str | os.PathLike) -> Path:
    """The path gs://BUCKET/FOLDER, after the bucket has answered once in this process.

    Raises:
      InputError: gcsfs is not installed, there are no credentials, the bucket does not exist, does not let in, or does
        not answer within seconds.
    """
    name = os.fspath(path).removeprefix(SCHEME).split("/")[0]
    _bucket(name)
    from etils import epath

    return epath.Path(os.fspath(path))


@functools.cache
def _bucket(name: str) -> Any:
    """A google.cloud.storage.Bucket that exists."""
    where = f"{SCHEME}{name}"
    if importlib.util.find_spec("gcsfs") is None:
        raise InputError(f"{where}: buckets need gcsfs, which is not installed: pip install -r requirements-gcs.txt")
    # Listings would be remembered forever, although TensorStore writes past them.
    import fsspec

    fsspec.config.conf.setdefault("gcs", {}).setdefault("use_listings_cache", False)
    os.environ.setdefault("EPATH_USE_TF", "false")  # one library for all files, also where TensorFlow is installed
    # Otherwise gcsfs asks by gRPC for the kind of the bucket, and waits for minutes where only HTTP is let through.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # what it logs with a traceback it raises too
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    try:
        return storage.Client().get_bucket(name, timeout=SECONDS, retry=None)
    # The HTTP library's errors are OSErrors, and so is that of a project which is not known.
    except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as error:
        raise InputError(f"{where}: {_why(error)}") from None


def _why(error: Exception) -> str:
    """Why a bucket cannot be used, in words."""
    from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
    from google.auth.exceptions import GoogleAuthError, TransportError

    if isinstance(error, NotFound):
        return "there is no such bucket"
    if isinstance(error, Forbidden):
        return "is not open to you, expected the permission storage.buckets.get, and those to read and write objects"
    if isinstance(error, GoogleAuthError | Unauthorized) and not isinstance(error, TransportError):
        return "no valid credentials of Google Cloud; run gcloud auth application-default login"
    return f"cannot be used ({_reason(error)})"


def _blob(path: Path) -> Any:
    """A google.cloud.storage.Blob, which need not exist."""
    name, _, inside = os.fspath(path).removeprefix(SCHEME).partition("/")
    return _bucket(name).blob(inside)


def put(source: Path, target: Path) -> None:
    """Copies a local file or folder into a bucket; readers see no file in part, and checkpoints when complete.

    Raises:
      InputError: it cannot be written there; of a folder, nothing is left.
    """
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    if source.is_dir() and target.exists():
        raise InputError(f"{target}: is there already, expected a new folder")
    files.sort(key=lambda path: (path.name == COMMITTED, -len(path.parts), path))
    try:
        with contextlib.ExitStack() as undo:
            undo.callback(lambda: source.is_dir() and target.rmtree(missing_ok=True))
            for path in files:
                _upload(path, target / path.relative_to(source).as_posix())
            undo.pop_all()
    except Exception as error:
        raise InputError(f"{target}: cannot be written ({_reason(error)})") from error


def _upload(source: Path, target: Path) -> None:
    from google.cloud.storage.retry import DEFAULT_RETRY

    _blob(target).upload_from_filename(source, retry=DEFAULT_RETRY.with_timeout(RETRIED))


def local_copy(data_dir: str | os.PathLike, name: str) -> Path:
    """Copies the data set `name` of a folder in a bucket to this machine, and returns the folder of the copy.

    It is copied once for each content, also where several processes ask at the same time.

    Raises:
      InputError: the bucket cannot be reached, holds no such data set, or the disk is full.
    """
    of_data = _blob(open_path(data_dir) / "wtal" / name)
    try:
        blobs = list(of_data.bucket.list_blobs(prefix=f"{of_data.name}/", timeout=SECONDS))
        if not blobs:
            raise InputError(
                f"{data_dir}: holds no data set {name}; prepare it in a folder of this machine, and copy that:"
                f" gcloud storage rsync --recursive data {data_dir}"
            )
        content = hashlib.sha256(json.dumps([[blob.id, blob.size] for blob in blobs]).encode()).hexdigest()
        folder = CACHE / content[:16]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                size = sum(blob.size for blob in blobs) / 1e9
                print(f"{data_dir}: copying data set {name} ({size:.2g} GB) to {folder}", flush=True)
                _download(blobs, len(of_data.name) - len(f"wtal/{name}"), folder)
        return folder
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{data_dir}: cannot be copied to {CACHE} ({_reason(error)})") from error


def _download(blobs: Sequence[Any], skipped: int, folder: Path) -> None:
    """Downloads objects into a folder, whole or not at all, without the first `skipped` characters of their names."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)

    def download(blob: Any) -> None:
        path = partial / blob.name[skipped:]
        path.parent.mkdir(parents=True, exist_ok=True)
        blob.download_to_filename(path)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(download, blobs))
    partial.rename(folder)


def sentence_of(error: BaseException) -> str | None:
    """One sentence for an error of the libraries that talk to a bucket, None for any other."""
    if type(error).__module__.startswith(("aiohttp.", "gcsfs.", "google.api_core.", "google.auth.", "requests.")):
        return f"a bucket of Google Cloud Storage does not answer as it should ({_reason(error)})"
    return None


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def check_writable(where: str, folder: Path) -> None:
    """Raises InputError, which begins with `where`, if no object can be written into a folder of a bucket."""
    probe = _blob(folder / f".probe-{uuid.uuid4().hex}")
    try:
        probe.upload_from_string(b"", timeout=SECONDS, retry=None)
        probe.delete(timeout=SECONDS, retry=None)
    except Exception as error:
        raise InputError(f"{where}: cannot be written ({_reason(error)})") from None


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
    blob = _blob(folder / ".lock")
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
        raise InputError(f"{where}: cannot be written ({_reason(error)})") from None


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
