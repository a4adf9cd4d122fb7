"""Pickles that nobody wrote by pickling, and what to look at after they were read."""

import contextlib
import copyreg
import inspect
import io
import pickle
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
from hypothesis import strategies as st

from tsc_jax.data.pickles import load_npy


class TooMuchWorkError(BaseException):
    """No reader catches it."""


@contextlib.contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Raises TooMuchWorkError at the first Python function called after so many others; C functions count too."""
    left = calls

    def count(frame, event, argument):
        nonlocal left
        left -= event in ("call", "c_call")
        if left < 0:
            sys.setprofile(None)
            raise TooMuchWorkError(f"more than {calls} calls")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


def shared_state(*modules: ModuleType) -> dict:
    """What a file could have changed for everybody else: the modules' functions and classes, pickle's registries."""
    owned = [
        (name, value)
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) or inspect.isclass(value)
    ]
    methods = [(f"{name}.{key}", each) for name, value in owned for key, each in vars(value).items()]
    functions = [(name, each) for name, each in (*owned, *methods) if isinstance(each, FunctionType)]
    return {
        "functions": [(name, _facts(function)) for name, function in functions],
        "classes": [(name, list(vars(value).items())) for name, value in owned if inspect.isclass(value)],
        "modules": [list(vars(module).items()) for module in modules],
        "loaded": set(sys.modules),
        "copyreg": [dict(value) for value in vars(copyreg).values() if isinstance(value, dict)],
        "dtypes": [(np.dtype(spec).str, np.dtype(spec).fields) for spec in ("f4", "i8", "O", "U3", ">f8")],
    }


def _facts(function: FunctionType) -> tuple:
    names = ("__name__", "__doc__", "__code__", "__defaults__", "__kwdefaults__", "__annotations__")
    return *(repr(getattr(function, name)) for name in names), sorted(map(repr, vars(function).items()))


def plain(value) -> bytes:
    """Opcodes that push a plain value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def nested_tuples(depth: int) -> bytes:
    """Opcodes that push a tuple of two tuples of two tuples ... in which both are the same: 2^depth in 6 bytes each."""
    return b")" + b"".join(b"q%bh%b\x86" % (bytes([i % 256]), bytes([i % 256])) for i in range(depth))


def nested_lists(depth: int) -> bytes:
    """The same of lists."""
    return b"]" + b"".join(b"q%b](h%bh%be" % ((bytes([i % 256]),) * 3) for i in range(depth))


def programs(names: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Opcodes in any order: they import `names` ("module.name"), call, set states and items, and share values."""
    imports = [b"c%b\n%b\n" % tuple(name.encode().rsplit(b".", 1)) for name in names]
    states = [
        plain((None, {key: value}))
        for key, value in [("__defaults__", ("f8",)), ("__kwdefaults__", {}), ("__doc__", "changed"), ("spec", "O8")]
    ]
    values = [
        plain(value)
        for value in (0, 1, 3, -1, 2**70, "f4", "O8", "U3", "<", ">", "i4,", "b", "latin1", "storage", "0", "cpu", "",
                      b"", "\0" * 8, None, (), (1,), (0,), (0, "b"), [], [1], {}, {"a": 1}, {"__doc__": "changed"})
    ]  # fmt: skip
    control = [b"(", b"t", b"l", b"d", b"R", b"R", b"R", b"b", b"b", b"s", b"u", b"e", b"a", b"0", b"1", b"2", b"Q",
               b"\x81", b"\x85", b"\x86", b"\x87", b"o", b"\x8f", b"\x90", b"\x91", b"\x92", b"\x93", b"\x82\1",
               b"ios\nmkdir\n", b"\x97", b"\x98"]  # fmt: skip
    memo = [code + bytes([place]) for code in (b"q", b"h") for place in range(3)]
    steps = st.one_of(*map(st.sampled_from, (imports, states, values, control, memo)))
    return st.lists(steps, max_size=25).map(lambda parts: b"\x80\x04" + b"".join(parts) + b".")


def object_npy(payload: bytes, shape: tuple = (1,)) -> bytes:
    """A .npy file of an object array, with `payload` where the pickle goes."""
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + payload


def load_bytes(folder: Path, content: bytes) -> np.ndarray:
    file = folder / "file.npy"
    file.write_bytes(content)
    return load_npy(file)


def assert_same(ours, theirs) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, np.ndarray) and ours.dtype == object:
        assert ours.shape == theirs.shape and theirs.dtype == object
        for left, right in zip(ours.flat, theirs.flat, strict=True):
            assert_same(left, right)
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert_same(left, right)
    elif isinstance(ours, dict):
        assert_same(list(ours.items()), list(theirs.items()))
    else:
        np.testing.assert_equal(ours, theirs)


def python_2_array(length: bytes, spec: bytes, order: bytes, content: bytes) -> bytes:
    """The opcodes by which Python 2 and NumPy 1 wrote an array of one axis; `content` are opcodes too."""

    def text(value: bytes) -> bytes:
        return b"U" + struct.pack("B", len(value)) + value

    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text(b"b") + b"tR"
    flags = b"K\x3f" if spec == b"O8" else b"K\x00"
    size = b"J\xff\xff\xff\xff"
    state = b"(K\x03" + text(order) + b"NNN" + size + size + flags + b"t"
    dtype = b"cnumpy\ndtype\n(" + text(spec) + b"K\x00K\x01tR" + state + b"b"
    return reconstruct + b"(K\x01K" + length + b"\x85" + dtype + b"\x89" + content + b"tb"
