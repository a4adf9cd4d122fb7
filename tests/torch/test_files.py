"""PyTorch files of both formats are read without PyTorch; anything else is refused, and nothing in it is executed.

files/zip.pth and files/legacy.pth were written by PyTorch 2.13 with `write_examples`.
"""

import collections
import contextlib
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from tests.data import forged
from tests.data.forged import plain
from tests.torch import state_dicts
from tests.torch.state_dicts import named, tensor, write_zip
from tsc_jax import unpickle
from tsc_jax.errors import InputError
from tsc_jax.torch import files
from tsc_jax.torch.files import read_state_dict, write_state_dict

NEEDS_TORCH = "needs PyTorch: pip install -r requirements-torch.txt"
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
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
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


def assert_same(arrays: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape), name
        assert arrays[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_what_pytorch_wrote_is_read(name):
    assert_same(read_state_dict(FILES / name), EXPECTED)


def test_what_this_pytorch_writes_is_read(tmp_path):
    write_examples(tmp_path)
    for name in ("zip.pth", "legacy.pth"):
        assert_same(read_state_dict(tmp_path / name), EXPECTED)


def test_what_is_written_is_read_by_us_and_by_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    expected = {name: array for name, array in EXPECTED.items() if name != "bfloat"}  # NumPy has no such type
    write_state_dict(tmp_path / "a.pkl", expected)
    write_state_dict(tmp_path / "b.pkl", expected)
    assert_same(read_state_dict(tmp_path / "a.pkl"), expected)
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pkl", "b.pkl"]
    for how in ({"weights_only": True}, {"weights_only": True, "mmap": True}):
        loaded = torch.load(tmp_path / "a.pkl", **how)
        assert_same({name: tensor.numpy() for name, tensor in loaded.items()}, expected)


def test_without_pytorch_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"a\.pkl: .*requirements-torch\.txt"):
        write_state_dict(tmp_path / "a.pkl", EXPECTED)
    assert not list(tmp_path.iterdir())


def test_the_tests_write_what_is_read(tmp_path):
    state_dicts.write(tmp_path / "a.pkl", EXPECTED)
    assert_same(read_state_dict(tmp_path / "a.pkl"), EXPECTED)


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


def test_a_view_is_what_its_numbers_say(tmp_path):
    write_zip(tmp_path / "model.pkl", named(x=tensor((1, (2, 2), (1, 2)))))
    assert read_state_dict(tmp_path / "model.pkl")["x"].tolist() == [[1, 3], [2, 4]]


REFUSED = {
    b"cposix\nsystem\n" + plain("echo") + b"\x85R.": r"refused to unpickle 'posix\.system'",
    b"cbuiltins\neval\n" + plain("1") + b"\x85R.": r"refused to unpickle 'builtins\.eval'",
    b"ctorch.storage\n_load_from_bytes\n" + plain("1") + b"\x85R.": "refused to unpickle 'torch.storage._load_from_byt",
    b"ctorch.serialization\nload\n" + plain("1") + b"\x85R.": "refused to unpickle",
    b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.": "refused to unpickle",
    b"ctorch._utils\n_rebuild_tensor_v2\n}" + plain("__doc__") + plain("x") + b"sb.": "set the state of a function",
    b"ctorch\nFloatStorage\n}b.": "refused to set the state of",
    b"ctorch\nFloatStorage\n)R.": "refused to call",
    b"ctorch\nFloatStorage\n)\x81.": "feature of pickles",
    b"ctorch._utils\n_rebuild_tensor_v2\n)\x81.": "feature of pickles",
    b"\x96" + struct.pack("<Q", 2**40) + b".": "feature of pickles",
    named(x=tensor((1, (2, 3), (3, 1)))): r"shape \(2, 3\) reaches beyond its storage of 6 numbers",
    named(x=tensor((0, (4, 4), (0, 0)))): r"shape \(4, 4\) reaches beyond its storage of 6 numbers",
    named(x=tensor((0, (2**62, 2), (0, 1)))): "reaches beyond its storage of 6 numbers",
    named(x=tensor((5, (2,), (-1,)))): "holds a tensor that is not described",
    named(x=tensor((0, (2, 3), (1,)))): "holds a tensor that is not described",
    named(x=tensor((0, (6,), (1,)), numbers=7)): "storage '0' has 24 bytes, expected 7 float32",
    named(x=tensor((0, (6,), (1,)), kind="torch\nDoubleStorage")): "storage '0' has 24 bytes, expected 6 float64",
    named(x=tensor((0, (6,), (1,)), kind="torch\nUntypedStorage")): r"refused to unpickle 'torch\.UntypedStorage'",
    named(x=tensor((0, (6,), (1,)), key="../data.pkl")): "not a whole PyTorch file",
    plain([1, 2]) + b".": "holds a list without tensors, expected a state_dict",
    plain({}) + b".": "holds a dict without tensors, expected a state_dict",
    plain({"x": 3}) + b".": "'x' is a int, expected a tensor",
    plain({3: 3}) + b".": "a int as the name of a tensor",
}


@pytest.mark.parametrize("opcodes", REFUSED)
def test_anything_else_is_refused_and_not_run(opcodes, tmp_path):
    write_zip(tmp_path / "model.pkl", opcodes)
    with pytest.raises(InputError, match=rf"model\.pkl: .*{REFUSED[opcodes]}"):
        read_state_dict(tmp_path / "model.pkl")


READERS = [unpickle, files]
NAMES = [
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    "torch.FloatStorage", "torch.cuda.BoolStorage", "torch.load", "builtins.eval", "os.mkdir",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attribute", ["__defaults__", "__doc__", "anything"])
def test_a_file_cannot_set_an_attribute_for_everybody_else(tmp_path, name, attribute):
    before = forged.shared_state(*READERS)
    for state in ((None, {attribute: ("f8",)}), {attribute: 1}):
        for call in (b"", b")R"):
            imported = b"c%b\n%b\n" % tuple(name.encode().rsplit(b".", 1))
            write_zip(tmp_path / "model.pkl", imported + call + plain(state) + b"b.")
            with pytest.raises(InputError, match=r"model\.pkl: "):
                read_state_dict(tmp_path / "model.pkl")
    assert forged.shared_state(*READERS) == before


def test_shared_values_take_linear_time(tmp_path):
    for program in (forged.nested_lists(200), forged.nested_tuples(200)):
        for opcodes in (program, b"}" + program + b"Ns", b"](" + program + b"Nee", b"(" + program + b"tQ",
                        b"ccollections\nOrderedDict\n](](" + program + b"Neee\x85R"):  # fmt: skip
            write_zip(tmp_path / "model.pkl", opcodes + b".")
            with pytest.raises(InputError), forged.at_most(200 * len(opcodes)):
                read_state_dict(tmp_path / "model.pkl")


def test_a_dict_made_of_another_one_is_refused(tmp_path):
    """Keys of two letters look like pairs; each copy of a dict would take as long as the dict is."""
    keys = plain({f"{chr(i)}x": 0 for i in range(256)}) + b"\x85q\x410"
    write_zip(tmp_path / "model.pkl", keys + b"](" + b"ccollections\nOrderedDict\nh\x41R" * 3000 + b"e.")
    with pytest.raises(InputError, match="made of a dict"), forged.at_most(100_000):
        read_state_dict(tmp_path / "model.pkl")


@pytest.mark.parametrize(
    ("numbers", "keys", "error"),
    [(6, ["0"], None), (6, [], "lacks 1 storages"), (7, ["0"], "another size"), (2**40, ["0"], "again and again")],
)
def test_storages_of_the_older_format_are_those_of_its_tensors(tmp_path, numbers, keys, error):
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))
    content = b"\x80\2" + named(x=tensor((1, (2,), (3,)), numbers)) + pickle.dumps(keys, 2)
    (tmp_path / "model.pkl").write_bytes(head + content + struct.pack("<q6f", 6, *range(6)))
    if error is None:
        assert read_state_dict(tmp_path / "model.pkl")["x"].tolist() == [1, 4]
    else:
        with pytest.raises(InputError, match=rf"model\.pkl: .*{error}"):
            read_state_dict(tmp_path / "model.pkl")


def test_many_views_of_a_storage_take_no_memory(tmp_path):
    views = {f"view{i}": tensor((0, (1000, 1000), (1000, 1)), 1000_000) for i in range(1000)}
    write_zip(tmp_path / "model.pkl", named(**views), bytes(4000_000))
    assert sum(np.shares_memory(view, view.base) for view in read_state_dict(tmp_path / "model.pkl").values()) == 1000


@settings(deadline=None, max_examples=300)
@given(forged.programs(NAMES))
def test_no_program_changes_anything_or_runs_on(tmp_path_factory, program):
    path = tmp_path_factory.getbasetemp() / "model.pkl"
    write_zip(path, program.removeprefix(b"\x80\x04"))
    before = forged.shared_state(*READERS)
    with contextlib.suppress(InputError), forged.at_most(5000 + 100 * len(program)):
        read_state_dict(path)
    assert forged.shared_state(*READERS) == before


def test_what_is_no_pytorch_file_is_said(tmp_path):
    path = tmp_path / "model.pkl"
    write_zip(path, named(x=tensor((0, (6,), (1,)))), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"is compressed, which torch\.save never does"):
        read_state_dict(path)
    for content in (b"", b"\x93NUMPY", pickle.dumps([1]), b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.pkl: not a (whole )?PyTorch file"):
            read_state_dict(path)
    with pytest.raises(InputError, match=r"nowhere\.pkl: no such file"):
        read_state_dict(tmp_path / "nowhere.pkl")


def test_a_prefix_that_some_names_have_is_refused(tmp_path):
    state_dicts.write(tmp_path / "model.pkl", {"module.a": GRID, "b": GRID})
    with pytest.raises(InputError, match=r"'module\.a' begins with 'module\.' but not every name does"):
        read_state_dict(tmp_path / "model.pkl")
