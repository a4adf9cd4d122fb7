"""Paths that users give, and files and folders that are written whole, or not at all."""

import contextlib
import errno
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tsc_jax import buckets
from tsc_jax.errors import InputError

# What happens to a file that is open: its error has no name.
OF_OPEN_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE)

LONGEST_NAME = 255  # bytes of a file's name that every usual file system allows
_STREAMS = {"/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}


def local_path(path: str | os.PathLike, what: str = "") -> str:
    """A path as the user gave it, with ~ as the home folder; InputError, which begins with `what`, for an address."""
    path = os.fspath(path)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path) and not os.path.lexists(path):
        raise InputError(f"{what}{path}: is an address, expected a file or folder of this machine")
    return os.path.expanduser(path)


def local_or_bucket(path: str | os.PathLike, what: str = "") -> str:
    """The same for a folder that may also be in a bucket, gs://BUCKET/FOLDER."""
    if buckets.in_bucket(path):
        return os.fspath(path)
    try:
        return local_path(path, what)
    except InputError as error:
        raise InputError(f"{error} or of a bucket, gs://BUCKET/FOLDER") from None


def open_path(path: str | os.PathLike) -> Path:
    """The path to a folder of this machine or of a bucket; InputError for a bucket that cannot be reached."""
    return buckets.open_path(path) if buckets.in_bucket(path) else Path(local_or_bucket(path))


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turns the errors of writing the file or folder `path` into one sentence that names it, an InputError."""
    try:
        yield
    except OSError as error:
        names = [os.fspath(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
        own = [part for name in names for part in (Path(name), *Path(name).parents)]
        if any(part == Path(path) or part.suffix == ".partial" for part in own) or (
            not names and error.errno in OF_OPEN_FILES
        ):
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
        raise


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path in the same folder, which must exist, and renames it to `path` when the block ends.

    If the block raises, its output is deleted. A file replaces a file; a folder replaces only an empty folder. Where
    `path` is a link, what it points to is replaced; a device or a pipe gets the content of the file.

    Raises:
      InputError: it cannot be written there.
    """
    with writing(path):
        if is_stream(path):
            with tempfile.TemporaryDirectory() as folder:
                content = Path(folder, "content")
                yield content
                with content.open("rb") as written, _open_stream(path) as stream:
                    shutil.copyfileobj(written, stream)
            return
        if buckets.in_bucket(path):
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder, "content")
                buckets.put(Path(folder, "content"), path)
            return
        path = Path(os.path.realpath(path))
        # A short name, because path.name may be as long as the disk allows, of this process alone: two may write it.
        name, machine = _digest(path.name), _digest(platform.node())  # several machines may share the folder
        for leftover in path.parent.glob(f".{name}.{machine}.*.partial"):
            try:
                os.kill(int(leftover.name.split(".")[3]), 0)
            except ProcessLookupError:  # a killed process left it
                _delete(leftover)
            except OSError:  # the process of another user, which runs
                pass
        temporary = path.with_name(f".{name}.{machine}.{os.getpid()}.partial")
        _delete(temporary)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            _delete(temporary)


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path names a device, a pipe or a file that is open, such as /dev/stdout: it cannot be replaced."""
    if os.path.dirname(path) in ("/dev", "/dev/fd", "/proc/self/fd"):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def check_target(flag: str, path: str | os.PathLike) -> None:
    """Raises InputError if the file that --`flag` names cannot be written, before anything is computed for it."""
    where, target = f"--{flag} {path}", Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise InputError(f"{where}: is a folder, expected the name of a file")
    if is_stream(path):
        return
    if not os.path.isdir(target.parent):
        raise InputError(f"{where}: its folder does not exist")
    try:
        target.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"{where}: cannot be written ({error.strerror})") from None
    check_folder(where, target.parent)


def check_folder(where: str, folder: str | os.PathLike) -> None:
    """Raises InputError, which begins with `where`, if no file can be written into a folder; it need not exist yet."""
    if buckets.in_bucket(folder):
        buckets.check_writable(where, folder)
        return
    folder = Path(folder).absolute()
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"0")
    except OSError as error:
        raise InputError(f"{where}: cannot be written ({there}: {error.strerror})") from None


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file (UTF-8, line feeds only) whole, or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


class Journal:
    """A text file to which lines are appended."""

    def __init__(self, path: Path):
        """Goes on with the file that is there, if any."""
        self.path, self.remote = path, None
        if buckets.in_bucket(path):
            self.remote = buckets.GrowingFile(path, path.read_bytes() if path.exists() else b"")

    def append(self, line: str) -> None:
        """Appends one line; InputError where it, or an earlier one, cannot be written."""
        if self.remote:
            self.remote.write(f"{line}\n".encode())
            self.remote.flush()
            return
        with writing(self.path), self.path.open("a") as file:
            file.write(f"{line}\n")

    def flush(self) -> None:
        """Waits until all lines are where they belong; InputError where they cannot be written."""
        if self.remote:
            self.remote.wait()

    def close(self) -> None:
        """Waits for the lines."""
        if self.remote:
            self.remote.close()


def file_names(names: Sequence[str], suffix: str) -> list[str]:
    """Returns a file's name for each of different videos; long names are cut.

    They differ too, also where a file system tells neither capital letters nor the two spellings of an accent apart.
    """
    plain = [name.replace("/", "_") + suffix for name in names]
    keys = [unicodedata.normalize("NFC", each.casefold()) for each in plain]
    shared = Counter(keys)
    return [
        _cut(name, suffix) if shared[key] > 1 or len(os.fsencode(each)) > LONGEST_NAME else each
        for name, each, key in zip(names, plain, keys, strict=True)
    ]


def _cut(name: str, suffix: str) -> str:
    """Returns as much of the name as fits, and a digest of the whole."""
    end = f"~{_digest(name)}{suffix}"
    start = os.fsencode(name.replace("/", "_"))[: LONGEST_NAME - len(os.fsencode(end))]
    return start.decode(errors="ignore") + end


def _open_stream(path: str | os.PathLike) -> BinaryIO:
    name = os.fspath(path)
    opened = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", _STREAMS.get(name, name))
    # What is open already is continued: opening it anew would overwrite a file to which the shell sends the output.
    sys.stdout.flush()
    return os.fdopen(os.dup(int(opened[1])), "wb") if opened else open(path, "wb")


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
