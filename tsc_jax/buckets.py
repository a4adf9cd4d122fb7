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
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tsc_jax.errors import InputError

SCHEME = "gs://"
CACHE = Path("~/.cache/tsc_jax/data").expanduser()  # of data sets that are in buckets
SECONDS = 10  # that a bucket has to answer the first request
RETRIED = 30  # seconds for which a file is sent again where the network fails
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
    return f"cannot be used ({reason_of(error)})"


def blob_of(path: Path) -> Any:
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
        raise InputError(f"{target}: cannot be written ({reason_of(error)})") from error


class GrowingFile:
    """A binary file in a bucket: a thread writes all of it anew at each flush, or once for several that come fast."""

    def __init__(self, path: Path, content: bytes = b""):
        """Begins with what is there already."""
        self.path, self.content, self.written = path, bytearray(content), len(content)
        self.thread, self.error = concurrent.futures.ThreadPoolExecutor(1), None

    def write(self, content: bytes) -> None:
        """Appends; InputError where what came earlier cannot be written."""
        if self.error:
            raise self.error
        self.content += content

    def flush(self) -> None:
        """Begins to write, and does not wait."""
        self.thread.submit(self._copy)

    def _copy(self) -> None:
        content = bytes(self.content)
        if len(content) == self.written or self.error:
            return
        try:
            _upload(content, self.path)
            self.written = len(content)
        except Exception as error:
            self.error = InputError(f"{self.path}: cannot be written ({reason_of(error)})")

    def wait(self) -> None:
        """Waits until everything is written; InputError where it cannot be."""
        self.thread.submit(self._copy).result()
        if self.error:
            raise self.error

    def close(self) -> None:
        """Waits until everything is written, or cannot be, and ends the thread."""
        self.flush()
        self.thread.shutdown()


def _upload(source: Path | bytes, target: Path) -> None:
    from google.cloud.storage.retry import DEFAULT_RETRY

    blob, retry = blob_of(target), DEFAULT_RETRY.with_timeout(RETRIED)
    if isinstance(source, bytes):
        blob.upload_from_string(source, "application/octet-stream", retry=retry)
    else:
        blob.upload_from_filename(source, retry=retry)


@contextlib.contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """Yields a file of this machine with the content of `path`, which may be in a bucket."""
    if not in_bucket(path):
        yield path
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(path.read_bytes())
        file.flush()
        yield Path(file.name)


def local_copy(data_dir: str | os.PathLike, name: str) -> Path:
    """Copies the data set `name` of a folder in a bucket to this machine, and returns the folder of the copy.

    It is copied once for each content, also where several processes ask at the same time.

    Raises:
      InputError: the bucket cannot be reached, holds no such data set, or the disk is full.
    """
    of_data = blob_of(open_path(data_dir) / "wtal" / name)
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
        raise InputError(f"{data_dir}: cannot be copied to {CACHE} ({reason_of(error)})") from error


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
        return f"a bucket of Google Cloud Storage does not answer as it should ({reason_of(error)})"
    return None


def reason_of(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def check_writable(where: str, folder: Path) -> None:
    """Raises InputError, which begins with `where`, if no object can be written into a folder of a bucket."""
    probe = blob_of(folder / f".probe-{uuid.uuid4().hex}")
    try:
        probe.upload_from_string(b"", timeout=SECONDS, retry=None)
        probe.delete(timeout=SECONDS, retry=None)
    except Exception as error:
        raise InputError(f"{where}: cannot be written ({reason_of(error)})") from None
