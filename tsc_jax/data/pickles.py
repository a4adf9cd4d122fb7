"""Reads .npy files, pickled object arrays included, without executing what a pickle could hold.

A pickle is a program: `numpy.load(allow_pickle=True)` runs whatever the file says. Even
NumPy's own classes are no shelter: a forged `numpy.dtype` state turns bytes into pointers,
and `numpy.core.multiarray.scalar` unpickles freely inside. So nothing of NumPy is admitted
here: names that object arrays need are answered with the stand-ins below, which check what
they are given and build the arrays themselves.
"""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tsc_jax.errors import InputError

# Booleans, numbers, bytes, strings and objects; no structures, no dates.
_PLAIN_TYPE = re.compile(r"[biufcSUO]\d+")


def load_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of a .npy file as Python 2 or 3 wrote it, with any NumPy.

    Object arrays may hold arrays, strings, numbers, None and lists, tuples, sets and dicts of
    them. Bytes that Python 2 pickled come as str, decoded as latin-1.

    Raises:
      InputError: no such file; not a whole .npy file; a pickle that asks for anything else.
    """
    return _load(Path(path), _read, ".npy file")


def load_pickle(path: str | os.PathLike) -> Any:
    """What a pickle holds: arrays, strings, numbers, None and lists, tuples, sets and dicts of them.

    Raises:
      InputError: no such file; not a whole pickle; a pickle that asks for anything else.
    """
    return _load(Path(path), lambda file: _plain(_ArrayUnpickler(file, encoding="latin1").load()), "pickle")


def _load(path: Path, read: Callable[[BinaryIO], Any], kind: str) -> Any:
    try:
        with path.open("rb") as file:
            return read(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # A damaged file trips its reader up anywhere and in any way, with any exception.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a whole {kind} ({reason})") from None


def _read(file: BinaryIO) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise InputError(f"format version {version}, expected (1, 0) or (2, 0)")
    shape, _, dtype = readers[version](file)
    if not dtype.hasobject:
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    array = _plain(_ArrayUnpickler(file, encoding="latin1").load())
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise InputError(f"expected a pickled array of shape {shape}")
    return array


# The one written in Python: pickle.Unpickler makes room for as many objects as a damaged byte says.
class _ArrayUnpickler(pickle._Unpickler):
    """Knows the stand-ins of this module and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        # NumPy 2 and Python 2 have other names for the same.
        known_name = re.sub(r"^__builtin__\b", "builtins", re.sub(r"^numpy\._core\b", "numpy.core", full_name))
        if known_name not in _ADMITTED:
            raise InputError(f"refused to unpickle {full_name!r}: only arrays and plain containers are read")
        return _ADMITTED[known_name]


class _Type:
    """Stands in for numpy.dtype."""

    __hash__ = None  # so that it cannot hide as a dict key or in a set

    def __init__(self, spec: str, *_: Any):
        if not isinstance(spec, str) or not _PLAIN_TYPE.fullmatch(spec):
            raise InputError(f"refused the array type {spec!r}: only numbers, strings and objects are read")
        self.spec = spec
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        # (version, byte order, ...): of a plain type the rest repeats the spec or is None.
        self.dtype = np.dtype(state[1].replace("|", "") + self.spec)


class _Array:
    """Stands in for an array: numpy.core.multiarray._reconstruct makes one, its state fills it."""

    __hash__ = None

    def __init__(self, *_: Any):
        self.array = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, element_type, fortran_order, content = state
        order = "F" if fortran_order else "C"
        if element_type.dtype.hasobject:
            flat = np.empty(len(content), object)
            for index, item in enumerate(content):
                flat[index] = _plain(item)
            self.array = flat.reshape(shape, order=order)
        else:
            self.array = np.ndarray(shape, element_type.dtype, _as_bytes(content), order=order)


def _scalar(element_type: _Type, content: str | bytes) -> np.generic:
    """Stands in for numpy.core.multiarray.scalar."""
    return np.frombuffer(_as_bytes(content), element_type.dtype, count=1)[0]


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, by which Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise InputError(f"refused the encoding {encoding!r}, expected 'latin1'")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stands in for bytes, by which Python 3 writes b"" for Python 2."""
    return b""


_ADMITTED = {
    "numpy.dtype": _Type,
    "numpy.ndarray": None,  # only ever passed to _reconstruct, which ignores it
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.core.multiarray.scalar": _scalar,
    "_codecs.encode": _encode,
    "builtins.bytes": _no_bytes,
    "builtins.set": set,
}


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode("latin1") if isinstance(content, str) else content


def _plain(value: Any) -> Any:
    """`value` with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        if value.array is None:
            raise InputError("holds an array without content")
        return value.array
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
