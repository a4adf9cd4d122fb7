"""Writes files as torch.save does, without PyTorch, and more freely than it would."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from tests.data.forged import plain

EMPTY = b"ccollections\nOrderedDict\n)R"
KINDS = {
    "Float": np.float32, "Double": np.float64, "Half": np.float16, "BFloat16": jnp.bfloat16, "Long": np.int64,
    "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip


def tensor(view: tuple, numbers: int = 6, kind: str = "torch\nFloatStorage", key="0") -> bytes:
    """Opcodes of a tensor with offset, shape and strides `view` of a storage that claims to hold `numbers`."""
    storage = b"(" + plain("storage") + f"c{kind}\n".encode() + plain(key) + plain("cpu") + plain(numbers) + b"tQ"
    parts = b"".join(plain(part) for part in view)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + parts + b"\x89" + EMPTY + b"tR"


def named(**tensors: bytes) -> bytes:
    """Opcodes of a state_dict, as a whole pickle."""
    return EMPTY + b"(" + b"".join(plain(name) + opcodes for name, opcodes in tensors.items()) + b"u."


def write_zip(path: Path, opcodes: bytes, *storages: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """A file of this pickle and these storages; without any, storage "0" holds 6 float32."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + opcodes)
        for key, content in enumerate(storages or [struct.pack("<6f", *range(6))]):
            archive.writestr(f"m/data/{key}", content)


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """A file of these tensors, as PyTorch writes it on a little-endian machine."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    kinds = {np.dtype(dtype): f"torch\n{kind}Storage" for kind, dtype in KINDS.items()}
    opcodes = {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        opcodes[name] = tensor((0, array.shape, strides), array.size, kinds[array.dtype], str(key))
    write_zip(path, named(**opcodes), *(array.tobytes() for array in arrays.values()))
