"""PyTorch state_dict files without PyTorch: both formats of torch.save are read, its present one is written.

The structure of such a file is a pickle, which is a program. Here it may build dicts, lists, tuples
and descriptions of tensors, and nothing else: the names that torch.save uses are answered with the
stand-ins below, every other name is refused, and no object's state can be set. Numbers lie beside the
pickle in plain arrays (storages), of which a tensor is a view; every view is checked against its array.
"""

import collections
import dataclasses
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

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a file that torch.save wrote, by name.

    The dict may stand under "state_dict" in another one, and all names may begin with "module.", which
    DataParallel puts in front.

    Raises:
      InputError: no such file; not a whole PyTorch file; one that holds anything but a state_dict.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content, storages = (_read_zip if file.read(4) == b"PK\3\4" else _read_legacy)(file)
            return _named_tensors(content, storages)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # A damaged file trips its reader up anywhere and in any way, with any exception.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a whole PyTorch file ({reason})") from None


def write_state_dict(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors as torch.save does, so that torch.load reads them; a whole file or none, the same bytes always."""
    path = Path(path)
    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    files = {"data.pkl": _pickled(arrays), "byteorder": b"little", "version": b"3\n"}
    for key, array in enumerate(arrays.values()):
        files[f"data/{key}"] = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    partial = path.with_name(f".{path.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)  # dated 1980
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Stands in for an array of numbers that lies beside the pickle."""

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """Stands in for a tensor: a view of a storage, in its elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
    """Stands in for torch._utils._rebuild_tensor_v2; what follows concerns gradients."""
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if not (isinstance(storage, _Storage) and whole and all(_is_count(n) for n in (offset, *shape, *strides))):
        raise InputError("holds a tensor that is not described as torch.save describes it")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    """Stands in for torch._utils._rebuild_parameter."""
    return tensor


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


_ADMITTED: dict[str, Any] = {
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    **{f"{module}.{name}": dtype for module in ("torch", "torch.cuda") for name, dtype in _DTYPES.items()},
}


# The one written in Python: pickle.Unpickler makes room for as many objects as a damaged byte says.
class _Unpickler(pickle._Unpickler):
    """Knows the stand-ins of this module and nothing else, and sets no object's state.

    Attributes:
      storages: those that the pickle spoke of, by key.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")
        self.storages = {}

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name not in _ADMITTED:
            raise InputError(
                f"refused to unpickle {full_name!r}: only what torch.save(model.state_dict()) writes is read"
            )
        return _ADMITTED[full_name]

    def persistent_load(self, pid: tuple) -> _Storage:
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str) or not _is_count(size):
            raise InputError("holds a storage that is not described as torch.save describes it")
        if any(part is not None for part in view):
            raise InputError("holds views of storages, as PyTorch before 0.4 wrote them; save it with a newer one")
        storage = _Storage(key, dtype, size)
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"storage {key!r} is described in two ways")
        return storage

    def load_build(self) -> None:
        """Drops the state, where torch.save keeps version numbers of modules."""
        self.stack.pop()
        if not isinstance(self.stack[-1], collections.OrderedDict):
            raise InputError(f"refused to set the state of a {type(self.stack[-1]).__name__}")

    dispatch = pickle._Unpickler.dispatch | {pickle.BUILD[0]: load_build}
    del dispatch[pickle.BYTEARRAY8[0]]  # makes room before it reads


def _read_zip(file: io.BufferedReader) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """What the pickle of the present format builds, and a function that reads a storage."""
    archive = zipfile.ZipFile(file)
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise InputError("not a PyTorch file: a zip archive without data.pkl")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.namelist():
        raise InputError("a TorchScript program, expected a state_dict")

    def read(name: str) -> bytes:
        # torch.save does not compress, and what is not compressed cannot be a bomb.
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{name} is compressed, which torch.save never does")
        return archive.read(name)

    order = read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    if order not in (b"little", b"big"):
        raise InputError(f"byte order {order[:20]!r}, expected b'little' or b'big'")

    def read_storage(storage: _Storage) -> np.ndarray:
        return _numbers(read(f"{folder}data/{storage.key}"), storage, order.decode())

    return _Unpickler(io.BytesIO(read(names[0]))).load(), read_storage


def _read_legacy(file: io.BufferedReader) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """The same of the format before PyTorch 1.6: pickles, then the storages one after the other, little-endian."""
    file.seek(0)
    if file.peek(1)[:1] != pickle.PROTO or _Unpickler(file).load() != _LEGACY_MAGIC:
        raise InputError("not a PyTorch file")
    for _ in ("version of the format", "about the machine"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    content, places = unpickler.load(), {}
    for key in _Unpickler(file).load():
        storage, size = unpickler.storages.get(key), int.from_bytes(file.read(8), "little")
        if storage is None or size != storage.size:
            raise InputError("its storages are not those that its tensors speak of")
        places[key] = file.tell()
        file.seek(size * storage.dtype.itemsize, os.SEEK_CUR)

    def read_storage(storage: _Storage) -> np.ndarray:
        file.seek(places[storage.key])
        return _numbers(file.read(storage.size * storage.dtype.itemsize), storage, "little")

    return content, read_storage


def _numbers(data: bytes, storage: _Storage, order: str) -> np.ndarray:
    """The bytes of a storage as an array."""
    if len(data) != storage.size * storage.dtype.itemsize:
        raise InputError(f"storage {storage.key!r} has {len(data)} bytes, expected {storage.size} {storage.dtype}")
    if storage.dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    numbers = np.frombuffer(data, storage.dtype)
    return numbers if order == sys.byteorder else numbers.byteswap()


def _named_tensors(content: Any, read_storage: Callable[[_Storage], np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a state_dict, its names without DataParallel's prefix."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise InputError(f"holds a {type(content).__name__} without tensors, expected a state_dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            what = repr(name) if isinstance(name, str) else f"a {type(name).__name__} among the names"
            raise InputError(f"{what} stands for a {type(value).__name__}, expected names and tensors alone")
    prefixed = [name for name in content if name.startswith("module.")]
    if 0 < len(prefixed) < len(content):
        raise InputError(f"{prefixed[0]!r} begins with 'module.' but not every name does")
    read = functools.cache(read_storage)  # tensors may share a storage
    return {name.removeprefix("module."): _view(tensor, read(tensor.storage)) for name, tensor in content.items()}


def _view(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """A copy of what the tensor shows of its storage."""
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    size = math.prod(tensor.shape)
    if size and (last >= len(storage) or size > len(storage)):
        raise InputError(f"a tensor of shape {tensor.shape} reaches beyond its storage of {len(storage)} numbers")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    start = storage[tensor.offset :] if size else storage[:0]
    return np.array(np.lib.stride_tricks.as_strided(start, tensor.shape, strides), order="C")


def _pickled(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The pickle of an OrderedDict of tensors, tensor i in storage "i": what torch.save would write.

    Written opcode by opcode, because Python's pickler imports what it names.
    """
    kinds = {dtype: kind for kind, dtype in _DTYPES.items()}
    empty = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", empty, b"("]
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        storage = (
            _plain("storage"), f"ctorch\n{kinds[array.dtype]}\n".encode(),
            _plain(str(key)), _plain("cpu"), _plain(array.size),
        )  # fmt: skip
        persistent = b"(" + b"".join(storage) + b"tQ"
        view = _plain(0) + _plain(array.shape) + _plain(strides)
        parts += [_plain(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", persistent, view, _plain(False), empty, b"tR"]
    return b"".join([*parts, b"u."])


def _plain(value: str | int | tuple) -> bytes:
    """The opcodes that build a plain value: its pickle without beginning and end."""
    return pickle.dumps(value, protocol=2)[2:-1]
