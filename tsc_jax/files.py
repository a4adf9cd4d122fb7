"""Writes files and folders whole, or not at all."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tsc_jax.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path in the same folder, which must exist, and renames it to `path` when the block ends.

    If the block raises, its output is deleted. A file replaces a file; a folder replaces only an empty folder.
    """
    path = Path(path)
    # A short name, because path.name may be as long as the disk allows, of this process alone: two may write one file.
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    for leftover in path.parent.glob(f".{name}.*.partial"):
        try:
            os.kill(int(leftover.name.split(".")[2]), 0)
        except ProcessLookupError:  # a killed process left it
            _delete(leftover)
        except OSError:  # the process of another user, which runs
            pass
    temporary = path.with_name(f".{name}.{os.getpid()}.partial")
    _delete(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        _delete(temporary)


def check_target(flag: str, path: str | os.PathLike) -> None:
    """Raises InputError if the file that --`flag` names cannot be written: it is a folder, or its folder is missing."""
    if Path(path).is_dir():
        raise InputError(f"--{flag} {path}: is a folder, expected the name of a file")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"--{flag} {path}: its folder does not exist")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file (UTF-8, line feeds only) whole, or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
