"""Reads PyTorch state_dict files without PyTorch, in both formats of torch.save; writes them with PyTorch.

Such a file is a pickle that describes tensors, and beside it arrays of numbers (storages). A tensor is a view of a
storage. The pickle is read by `tsc_jax.unpickle`, and every view is checked against its storage.
"""

import functools
import io
import math
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax.numpy as jnp
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.files import replacing
from tsc_jax.unpickle import Unpickler, as_key, opened

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the tensors of a file of torch.save, by name; they are read-only.

    The state_dict may be the item "state_dict" of another dict. If all names begin with "module.", which DataParallel
    adds, this prefix is removed.

    Raises:
      InputError: the file is missing, damaged, or holds no state_dict.
    """
    with opened(Path(path), "PyTorch file") as file:
        content = _read_zip(file) if file.peek(4)[:4] == b"PK\3\4" else _read_legacy(file)
        if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
            content = content["state_dict"]
        if not isinstance(content, dict) or not content:
            raise InputError(f"holds a {type(content).__name__} without tensors, expected a state_dict")
        for name, value in content.items():
            if not isinstance(name, str):
                raise InputError(f"holds a {type(name).__name__} as the name of a tensor, expected text")
            if not isinstance(value, np.ndarray):
                raise InputError(f"{name[:80]!r} is a {type(value).__name__}, expected a tensor")
        prefixed = [name for name in content if name.startswith("module.")]
        if 0 < len(prefixed) < len(content):
            raise InputError(f"{prefixed[0][:80]!r} begins with 'module.' but not every name does")
        return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def write_state_dict(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors with torch.save, the whole file or nothing; raises InputError if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: PyTorch is needed to write it: pip install -r requirements-torch.txt") from None
    content = {name: torch.tensor(np.asarray(tensor)) for name, tensor in tensors.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def _rebuild_tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, *_: Any) -> np.ndarray:
    """Returns a read-only view of a storage; offset and strides count numbers, the other arguments are on gradients."""
    are_tuples = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 64
    are_counts = are_tuples and all(isinstance(n, int) and 0 <= n < 2**63 for n in (offset, *shape, *strides))
    if not isinstance(storage, np.ndarray) or not are_counts:
        raise InputError("holds a tensor that is not described as torch.save describes it")
    size, last = math.prod(shape), offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if size and (last >= storage.size or size > storage.size):
        raise InputError(f"a tensor of shape {shape} reaches beyond its storage of {storage.size} numbers")
    start = storage[offset:] if size else storage[:0]
    return np.lib.stride_tricks.as_strided(start, shape, [n * storage.itemsize for n in strides], writeable=False)


def _ordered_dict(items: list | tuple = ()) -> dict:
    if not isinstance(items, list | tuple):
        raise InputError(f"holds a dict made of a {type(items).__name__}, expected a list")
    return {as_key(key): value for key, value in items}


_TABLE = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
}
for _name, _dtype in {
    "Float": np.float32, "Double": np.float64, "Half": np.float16, "BFloat16": jnp.bfloat16, "Long": np.int64,
    "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}.items():  # fmt: skip
    _TABLE |= dict.fromkeys((f"torch.{_name}Storage", f"torch.cuda.{_name}Storage"), np.dtype(_dtype))


class _Unpickler(Unpickler):
    """Knows the names that torch.save writes; `make_storage` returns the numbers of a key, dtype and size."""

    table = _TABLE
    expected = "what torch.save(model.state_dict()) writes"

    def __init__(self, file: BinaryIO, make_storage: Callable[[str, np.dtype, int], np.ndarray] | None = None):
        super().__init__(file)
        self.make_storage = make_storage

    def set_state(self, target: Any, state: Any) -> None:
        """Drops the state of a dict, in which torch.save keeps version numbers of modules."""
        if not isinstance(target, dict):
            super().set_state(target, state)

    def persistent_load(self, pid: tuple) -> np.ndarray:
        """Returns the storage that a file refers to."""
        match pid[:5] if pid[5:] == (None,) else pid:  # PyTorch before 0.4 could write a view there
            case ("storage", np.dtype() as dtype, str() as key, _, int() as size) if size >= 0:
                return self.make_storage(key, dtype, size)
        raise InputError("holds a storage that is not described as torch.save describes it")


def _read_zip(file: BinaryIO) -> Any:
    """Reads a file in the present format."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError("not a PyTorch file: a zip archive without data.pkl")
    folder = pickles[0].removesuffix("data.pkl")

    def read(name: str) -> bytes:
        # Without compression, a small file cannot unpack to a huge one.
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{name[:80]} is compressed, which torch.save never does")
        return archive.read(name)

    order = read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    if order not in (b"little", b"big"):
        raise InputError(f"byte order {order[:20]!r}, expected b'little' or b'big'")

    @functools.cache
    def make_storage(key: str, dtype: np.dtype, size: int) -> np.ndarray:
        return _numbers(read(f"{folder}data/{key}"), key, dtype, size, order.decode())

    return _Unpickler(io.BytesIO(read(pickles[0])), make_storage).load()


def _read_legacy(file: io.BufferedReader) -> Any:
    """Reads a file in the format before PyTorch 1.6: five pickles, then the storages, little-endian."""
    if file.peek(1)[:1] != pickle.PROTO or _Unpickler(file).load() != _LEGACY_MAGIC:
        raise InputError("not a PyTorch file")
    for _ in ("version of the format", "about the machine"):
        _Unpickler(file).load()
    storages = {}

    @functools.cache
    def make_storage(key: str, dtype: np.dtype, size: int) -> np.ndarray:
        unpickler.spend(size * dtype.itemsize)  # no file can ask for more memory than it has bytes
        if key in storages:
            raise InputError(f"describes storage {key[:20]!r} in two ways")
        return storages.setdefault(key, np.empty(size, dtype))  # filled below

    unpickler = _Unpickler(file, make_storage)
    content = unpickler.load()
    for key in _Unpickler(file).load():
        storage = storages.pop(key)
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise InputError(f"storage {key[:20]!r} has another size than its tensors say")
        storage[:] = _numbers(file.read(storage.nbytes), key, storage.dtype, storage.size, "little")
    if storages:
        raise InputError(f"lacks {len(storages)} storages of its tensors")
    return content


def _numbers(data: bytes, key: str, dtype: np.dtype, size: int, order: str) -> np.ndarray:
    if len(data) != size * dtype.itemsize:
        raise InputError(f"storage {key[:20]!r} has {len(data)} bytes, expected {size} {dtype}")
    if dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    numbers = np.frombuffer(data, dtype)
    return numbers if order == sys.byteorder else numbers.byteswap()
