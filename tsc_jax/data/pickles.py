"""Reads .npy files, also those of pickled object arrays, without executing what a pickle says.

NumPy's own functions are not called by a file: a forged state of `numpy.dtype` turns bytes into pointers, and
`numpy.core.multiarray.scalar` unpickles its argument. The functions below take their place and check their arguments.
"""

import math
import os
import re
import types
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.unpickle import Unpickler, as_key, check_plain, opened

_KINDS = "biufcSU"  # of dtypes: booleans, numbers, bytes, text; O, objects, only where a pickle fills them
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def load_npy(path: str | os.PathLike) -> np.ndarray:
    """Reads the array in a .npy file that any NumPy wrote, under Python 2 or 3.

    Object arrays may hold arrays, text, numbers, None and lists, tuples, sets and dicts of these; keys of dicts are
    text or numbers. Python 2's byte strings become str, decoded as latin-1.

    Raises:
      InputError: the file is missing, damaged, or holds anything else.
    """
    with opened(Path(path), ".npy file") as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise InputError(f"format version {version}, expected (1, 0) or (2, 0)")
        shape, _, dtype = _HEADERS[version](file)
        if dtype != np.dtype(object):
            if dtype.kind not in _KINDS:
                raise InputError(f"holds an array of type {str(dtype)[:80]}, expected numbers or text")
            file.seek(0)
            return _checked(np.lib.format.read_array(file, allow_pickle=False))
        array = _Unpickler(file).load()
        if not isinstance(array, np.ndarray) or array.shape != shape:
            raise InputError(f"expected a pickled array of shape {shape}")
        return check_plain(array)


def load_pickle(path: str | os.PathLike) -> Any:
    """Reads a pickle of what `load_npy` accepts in an object array; raises InputError as it does."""
    with opened(Path(path), "pickle") as file:
        return check_plain(_Unpickler(file).load())


# What `numpy.dtype` is in a pickle: its attribute `dtype` can be given the byte order later, unlike a real dtype.
_Type = types.SimpleNamespace


def _dtype(spec: str, *_: Any) -> _Type:
    spec = spec if isinstance(spec, str) else f"a {type(spec).__name__}"
    if not re.fullmatch(rf"[{_KINDS}O]\d+", spec):
        raise InputError(f"refused the array type {spec[:80]!r}: only numbers, text and objects can be read")
    return _Type(dtype=np.dtype(spec))


def _scalar(element: _Type, content: str | bytes) -> np.generic:
    if element.dtype.hasobject:
        raise InputError("holds an object as bytes")  # they would be taken for a pointer
    return np.ndarray((), element.dtype, _as_bytes(content))[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise InputError("encodes text, expected the encoding 'latin1'")
    return text.encode("latin1")


_TABLE = {
    "numpy.dtype": _dtype,
    "numpy.ndarray": None,  # only an argument of _reconstruct, which ignores it
    "_codecs.encode": _encode,  # with which Python 3 writes bytes for Python 2
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _TABLE |= {f"{_module}._reconstruct": lambda *_: np.empty(0, object), f"{_module}.scalar": _scalar}
for _module in ("builtins", "__builtin__"):
    _TABLE |= {f"{_module}.bytes": lambda: b"", f"{_module}.set": lambda members: set(map(as_key, members))}


class _Unpickler(Unpickler):
    """Knows the names and states that NumPy writes."""

    table = _TABLE
    expected = "arrays and plain containers"

    def set_state(self, target: Any, state: Any) -> None:
        """Fills an array, or sets the byte order of a type."""
        match target, state:
            case types.SimpleNamespace(), (_, "<" | ">" | "|" | "=" as order, None, None, None, *_):  # without fields
                target.dtype = target.dtype.newbyteorder(order)
            case np.ndarray(), (_, shape, types.SimpleNamespace(dtype=dtype), fortran_order, content):
                is_shape = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
                if not is_shape or len(shape) > 64:
                    raise InputError("holds an array whose shape is not a tuple of sizes")
                # NumPy would read beyond the end of a shorter list.
                if dtype.hasobject and not (isinstance(content, list) and math.prod(shape) == len(content)):
                    raise InputError("holds an array with more or fewer objects than its shape says")
                content = content if dtype.hasobject else _as_bytes(content)
                target.__setstate__((1, shape, dtype, bool(fortran_order), content))
                _checked(target)
            case _:
                super().set_state(target, state)


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode("latin1") if isinstance(content, str) else content


def _checked(array: np.ndarray) -> np.ndarray:
    """Returns `array`; raises ValueError if it holds text with numbers that are no characters."""
    if array.dtype.kind == "U":
        array.tolist()
    return array
