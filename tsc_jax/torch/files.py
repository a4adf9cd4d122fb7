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
from typing import Any, BinaryIO, NamedTuple

import jax.numpy as jnp
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.files import replacing
from tsc_jax.unpickle import Unpickler, as_key, opened

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "Float": np.float32, "Double": np.float64, "Half": np.float16, "BFloat16": jnp.bfloat16, "Long": np.int64,
    "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the tensors of a file of torch.save, by name.

    The state_dict may be the item "state_dict" of another dict. If all names begin with "module.", which DataParallel
    adds, this prefix is removed.

    Raises:
      InputError: the file is missing, damaged, or holds no state_dict.
    """
    with opened(Path(path), "PyTorch file") as file:
        start = file.read(4)
        file.seek(0)
        content, read_storage = (_read_zip if start == b"PK\3\4" else _read_legacy)(file)
        if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
            content = content["state_dict"]
        tensors, read = _named_tensors(content), functools.cache(read_storage)  # tensors may share a storage
        return {name: _view(tensor, read(tensor.storage)) for name, tensor in tensors.items()}


def write_state_dict(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors with torch.save, the whole file or nothing.

    Raises:
      InputError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: PyTorch is needed to write it: pip install -r requirements-torch.txt") from None
    content = {name: torch.tensor(np.asarray(tensor)) for name, tensor in tensors.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


class _Storage(NamedTuple):
    """An array of numbers beside the pickle."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    """A view of a storage. The offset and the strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
    """Replaces torch._utils._rebuild_tensor_v2; its other arguments concern gradients."""
    are_tuples = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 64
    if not (isinstance(storage, _Storage) and are_tuples and all(_is_count(n) for n in (offset, *shape, *strides))):
        raise InputError("holds a tensor that is not described as torch.save describes it")
    return _Tensor(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


_TABLE = {
    "collections.OrderedDict": lambda items=(): {as_key(key): value for key, value in items},
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    **{f"{module}.{name}Storage": np.dtype(dtype) for module in ("torch", "torch.cuda")
       for name, dtype in _DTYPES.items()},
}  # fmt: skip


class _Unpickler(Unpickler):
    """Knows the names that torch.save writes.

    Attributes:
      storages: the storages in the pickle, by key.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file, _TABLE, "what torch.save(model.state_dict()) writes")
        self.storages = {}

    def set_state(self, target: Any, state: Any) -> None:
        """Drops the state of a dict, in which torch.save keeps version numbers of modules."""
        if not isinstance(target, dict):
            super().set_state(target, state)

    def persistent_load(self, pid: tuple) -> _Storage:
        """Returns the storage that a file refers to."""
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str) or not _is_count(size):
            raise InputError("holds a storage that is not described as torch.save describes it")
        if any(part is not None for part in view):
            raise InputError("holds views of storages, as PyTorch before 0.4 wrote them; save it with a newer one")
        storage = _Storage(key, dtype, size)
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"describes storage {key[:20]!r} in two ways")
        return storage


def _read_zip(file: BinaryIO) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """Returns the content of a file in the present format, and a function that reads a storage."""
    archive = zipfile.ZipFile(file)
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise InputError("not a PyTorch file: a zip archive without data.pkl")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.namelist():
        raise InputError("a TorchScript program, expected a state_dict")

    def read(name: str) -> bytes:
        # Without compression, a small file cannot unpack to a huge one.
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{name[:80]} is compressed, which torch.save never does")
        return archive.read(name)

    order = read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    if order not in (b"little", b"big"):
        raise InputError(f"byte order {order[:20]!r}, expected b'little' or b'big'")

    def read_storage(storage: _Storage) -> np.ndarray:
        return _numbers(read(f"{folder}data/{storage.key}"), storage, order.decode())

    return _Unpickler(io.BytesIO(read(names[0]))).load(), read_storage


def _read_legacy(file: io.BufferedReader) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """Does the same for the format before PyTorch 1.6: five pickles, then the storages, little-endian."""
    if file.peek(1)[:1] != pickle.PROTO or _Unpickler(file).load() != _LEGACY_MAGIC:
        raise InputError("not a PyTorch file")
    for _ in ("version of the format", "about the machine"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    content, places = unpickler.load(), {}
    for key in _Unpickler(file).load():
        storage, size = unpickler.storages.get(key), int.from_bytes(file.read(8), "little")
        if storage is None or size != storage.size:
            raise InputError("its storages do not match its tensors")
        places[key] = file.tell()
        file.seek(size * storage.dtype.itemsize, os.SEEK_CUR)

    def read_storage(storage: _Storage) -> np.ndarray:
        file.seek(places[storage.key])
        return _numbers(file.read(storage.size * storage.dtype.itemsize), storage, "little")

    return content, read_storage


def _numbers(data: bytes, storage: _Storage, order: str) -> np.ndarray:
    """Returns the numbers of a storage."""
    if len(data) != storage.size * storage.dtype.itemsize:
        raise InputError(f"storage {storage.key[:20]!r} has {len(data)} bytes, expected {storage.size} {storage.dtype}")
    if storage.dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    numbers = np.frombuffer(data, storage.dtype)
    return numbers if order == sys.byteorder else numbers.byteswap()


def _named_tensors(content: Any) -> dict[str, _Tensor]:
    """Checks that `content` is a state_dict, and removes DataParallel's prefix from its names."""
    if not isinstance(content, dict) or not content:
        raise InputError(f"holds a {type(content).__name__} without tensors, expected a state_dict")
    for name, value in content.items():
        if not isinstance(name, str):
            raise InputError(f"holds a {type(name).__name__} as the name of a tensor, expected text")
        if not isinstance(value, _Tensor):
            raise InputError(f"{name[:80]!r} is a {type(value).__name__}, expected a tensor")
    prefixed = [name for name in content if name.startswith("module.")]
    if 0 < len(prefixed) < len(content):
        raise InputError(f"{prefixed[0][:80]!r} begins with 'module.' but not every name does")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _view(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """Returns a tensor as a read-only view of its storage. Copies of many views could take much more memory."""
    size = math.prod(tensor.shape)
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if size and (last >= len(storage) or size > len(storage)):
        raise InputError(f"a tensor of shape {tensor.shape} reaches beyond its storage of {len(storage)} numbers")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    start = storage[tensor.offset :] if size else storage[:0]
    return np.lib.stride_tricks.as_strided(start, tensor.shape, strides, writeable=False)
