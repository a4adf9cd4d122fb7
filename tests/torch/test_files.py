"""PyTorch files are read without PyTorch, whatever it wrote; nothing else is, and nothing in them is run.

files/zip.pth and files/legacy.pth were written by PyTorch 2.13 with `write_examples`.
"""

import collections
import pickle
import struct
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from tsc_jax.errors import InputError
from tsc_jax.torch.files import read_state_dict, write_state_dict

FILES = Path(__file__).parent / "files"
GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
EXPECTED = {
    "plain": GRID,
    "transposed": GRID.T,
    "part": GRID[1:3, 2:4],
    "parameter": np.array([0.5, -2], np.float32),
    "double": np.array([1e300]),
    "half": np.array([1, 1.5], np.float16),
    "bfloat": np.array([1, 1.5], jnp.bfloat16),
    "long": np.array(-(2**40)),
    "int": np.array([3], np.int32),
    "short": np.array([-3], np.int16),
    "char": np.array([-3], np.int8),
    "byte": np.array([253], np.uint8),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
}


def write_examples(folder: Path) -> None:
    """The same tensors in both formats, in the newer one as a training script keeps them."""
    torch = pytest.importorskip("torch")
    grid = torch.arange(24.0).reshape(4, 6)
    tensors = collections.OrderedDict(
        plain=grid,
        transposed=grid.T,
        part=grid[1:3, 2:4],
        parameter=torch.nn.Parameter(torch.tensor([0.5, -2])),
        double=torch.tensor([1e300], dtype=torch.float64),
        half=torch.tensor([1, 1.5], dtype=torch.float16),
        bfloat=torch.tensor([1, 1.5], dtype=torch.bfloat16),
        long=torch.tensor(-(2**40)),
        int=torch.tensor([3], dtype=torch.int32),
        short=torch.tensor([-3], dtype=torch.int16),
        char=torch.tensor([-3], dtype=torch.int8),
        byte=torch.tensor([253], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        empty=torch.zeros(0, 3),
    )
    tensors._metadata = {"": {"version": 1}}
    parallel = {f"module.{name}": tensor for name, tensor in tensors.items()}
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"betas": (0.9, 0.999), "params": [0]}]}
    torch.save({"epoch": 3, "state_dict": parallel, "optimizer": optimizer}, folder / "zip.pth")
    torch.save(tensors, folder / "legacy.pth", _use_new_zipfile_serialization=False)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_what_pytorch_wrote_is_read(name):
    assert_same(read_state_dict(FILES / name), EXPECTED)


def test_what_this_pytorch_writes_is_read(tmp_path):
    write_examples(tmp_path)
    for name in ("zip.pth", "legacy.pth"):
        assert_same(read_state_dict(tmp_path / name), EXPECTED)


def test_what_is_written_is_read_by_us(tmp_path):
    write_state_dict(tmp_path / "a.pkl", EXPECTED)
    write_state_dict(tmp_path / "b.pkl", EXPECTED)
    assert_same(read_state_dict(tmp_path / "a.pkl"), EXPECTED)
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pkl", "b.pkl"]


def test_what_is_written_is_read_by_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    write_state_dict(tmp_path / "a.pkl", EXPECTED)
    for how in ({"weights_only": True}, {"weights_only": False}, {"weights_only": True, "mmap": True}):
        found = torch.load(tmp_path / "a.pkl", **how)
        assert isinstance(found, collections.OrderedDict)
        assert found.pop("bfloat").tolist() == [1, 1.5]
        assert_same(
            {name: tensor.numpy() for name, tensor in found.items()},
            {name: array for name, array in EXPECTED.items() if name != "bfloat"},
        )


def test_a_big_endian_file_is_read(tmp_path):
    with zipfile.ZipFile(FILES / "zip.pth") as archive, zipfile.ZipFile(tmp_path / "big.pth", "w") as swapped:
        for entry in archive.namelist():
            data = archive.read(entry)
            if entry.endswith("byteorder"):
                data = b"big"
            if entry.endswith("data/0"):
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            swapped.writestr(entry, data)
    assert read_state_dict(tmp_path / "big.pth")["part"].tolist() == EXPECTED["part"].tolist()


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_any_damage_is_one_sentence(name, tmp_path):
    whole = (FILES / name).read_bytes()
    damaged = tmp_path / "model.pkl"
    for end in range(0, len(whole) - 1, 31):
        damaged.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"model\.pkl: "):
            read_state_dict(damaged)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 200, replace=False):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ rng.integers(1, 256)]) + whole[place + 1 :])
        try:
            read_state_dict(damaged)
        except InputError as error:
            assert "\n" not in str(error)


EMPTY = b"ccollections\nOrderedDict\n)R"


def plain(value) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(view: tuple, numbers: int = 6, kind: str = "torch\nFloatStorage", key="0") -> bytes:
    """Opcodes of {"x": a tensor with offset, shape and strides `view`} whose storage says to hold `numbers`."""
    storage = b"(" + plain("storage") + f"c{kind}\n".encode() + plain(key) + plain("cpu") + plain(numbers) + b"tQ"
    parts = b"".join(plain(part) for part in view)
    return (
        EMPTY
        + b"("
        + plain("x")
        + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + parts
        + b"\x89"
        + EMPTY
        + b"tRu."
    )


def write_zip(path: Path, opcodes: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """A file whose storage "0" holds 6 float32."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + opcodes)
        archive.writestr("m/data/0", struct.pack("<6f", *range(6)))


def test_a_view_is_what_its_numbers_say(tmp_path):
    write_zip(tmp_path / "model.pkl", tensor((1, (2, 2), (1, 2))))
    assert read_state_dict(tmp_path / "model.pkl")["x"].tolist() == [[1, 3], [2, 4]]


REFUSED = {
    b"cposix\nsystem\n" + plain("echo") + b"\x85R.": r"refused to unpickle 'posix\.system'",
    b"cbuiltins\neval\n" + plain("1") + b"\x85R.": r"refused to unpickle 'builtins\.eval'",
    b"ctorch.storage\n_load_from_bytes\n" + plain("1") + b"\x85R.": "refused to unpickle 'torch.storage._load_from_byt",
    b"ctorch.serialization\nload\n" + plain("1") + b"\x85R.": "refused to unpickle",
    b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.": "refused to unpickle",
    b"ctorch._utils\n_rebuild_tensor_v2\n}" + plain("__doc__") + plain("x") + b"sb.": "set the state of a function",
    b"ctorch\nFloatStorage\n}b.": "refused to set the state of",
    b"ctorch\nFloatStorage\n)R.": "not a whole PyTorch file",
    b"ctorch\nFloatStorage\n)\x81.": "not a whole PyTorch file",
    b"ctorch._utils\n_rebuild_tensor_v2\n)\x81.": "not a whole PyTorch file",
    b"\x96" + struct.pack("<Q", 2**40) + b".": "not a whole PyTorch file",
    tensor((1, (2, 3), (3, 1))): r"shape \(2, 3\) reaches beyond its storage of 6 numbers",
    tensor((0, (4, 4), (0, 0))): r"shape \(4, 4\) reaches beyond its storage of 6 numbers",
    tensor((0, (2**62, 2), (0, 1))): "reaches beyond its storage of 6 numbers",
    tensor((5, (2,), (-1,))): "holds a tensor that is not described",
    tensor((0, (2, 3), (1,))): "holds a tensor that is not described",
    tensor((0, (6,), (1,)), numbers=7): "storage '0' has 24 bytes, expected 7 float32",
    tensor((0, (6,), (1,)), kind="torch\nDoubleStorage"): "storage '0' has 24 bytes, expected 6 float64",
    tensor((0, (6,), (1,)), kind="torch\nUntypedStorage"): r"refused to unpickle 'torch\.UntypedStorage'",
    tensor((0, (6,), (1,)), key="../data.pkl"): "not a whole PyTorch file",
    plain([1, 2]) + b".": "holds a list without tensors, expected a state_dict",
    plain({}) + b".": "holds a dict without tensors, expected a state_dict",
    plain({"x": 3}) + b".": "'x' stands for a int, expected names and tensors alone",
    plain({3: 3}) + b".": "a int among the names stands for a int",
}


@pytest.mark.parametrize("opcodes", REFUSED)
def test_anything_else_is_refused_and_not_run(opcodes, tmp_path):
    write_zip(tmp_path / "model.pkl", opcodes)
    with pytest.raises(InputError, match=rf"model\.pkl: .*{REFUSED[opcodes]}"):
        read_state_dict(tmp_path / "model.pkl")


def test_what_is_no_pytorch_file_is_said(tmp_path):
    path = tmp_path / "model.pkl"
    write_zip(path, tensor((0, (6,), (1,))), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"is compressed, which torch\.save never does"):
        read_state_dict(path)
    for content in (b"", b"\x93NUMPY", pickle.dumps([1]), b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.pkl: not a (whole )?PyTorch file"):
            read_state_dict(path)
    with pytest.raises(InputError, match=r"nowhere\.pkl: no such file"):
        read_state_dict(tmp_path / "nowhere.pkl")


def test_a_prefix_that_some_names_have_is_refused(tmp_path):
    write_state_dict(tmp_path / "model.pkl", {"module.a": GRID, "b": GRID})
    with pytest.raises(InputError, match=r"'module\.a' begins with 'module\.' but not every name does"):
        read_state_dict(tmp_path / "model.pkl")
