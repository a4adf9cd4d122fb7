"""Whole files and folders: written under another name first, then renamed."""

import contextlib
import shutil
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
