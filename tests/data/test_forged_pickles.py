"""Nothing but reading is ever done for a file, whatever it holds."""

import contextlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import forged
from tests.data.forged import assert_same, load_bytes, object_npy, plain, python_2_array
from tests.data.layouts import ragged
from tsc_jax import unpickle
from tsc_jax.data import pickles
from tsc_jax.data.pickles import load_npy, load_pickle
from tsc_jax.errors import InputError

READERS = [pickles, unpickle]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pickles")


class Command:
    """Unpickles by running `call`."""

    def __init__(self, call, *arguments):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_command_is_refused_and_named(tmp_path, protocol):
    marker = tmp_path / "executed"
    content = object_npy(pickle.dumps(ragged([Command(os.mkdir, str(marker))]), protocol=protocol))
    with pytest.raises(InputError, match=r"file\.npy: refused to unpickle 'posix\.mkdir'"):
        load_bytes(tmp_path, content)
    assert not marker.exists()


def test_a_pickle_of_containers_comes_back_and_a_command_in_it_is_refused(tmp_path):
    file, marker = tmp_path / "weights.ckpt", tmp_path / "executed"
    content = {"params": {"kernel": np.ones((2, 3), np.float32), "names": ["a", (1, 2.5)]}}
    file.write_bytes(pickle.dumps(content))
    assert_same(load_pickle(file), content)
    file.write_bytes(pickle.dumps(content | {"more": Command(os.mkdir, str(marker))}))
    with pytest.raises(InputError, match=r"weights\.ckpt: refused to unpickle 'posix\.mkdir'"):
        load_pickle(file)
    assert not marker.exists()
    file.write_bytes(pickle.dumps(content)[:-9])
    with pytest.raises(InputError, match=r"weights\.ckpt: not a whole pickle"):
        load_pickle(file)


@pytest.mark.parametrize("call", [eval, getattr, np.load, np.dtype.newbyteorder, Path, np.frombuffer, open])
def test_callables_are_refused(tmp_path, call):
    with pytest.raises(InputError, match="refused to unpickle"):
        load_bytes(tmp_path, object_npy(pickle.dumps(ragged([Command(call, "x")]))))


def test_numpys_own_back_doors_are_shut(tmp_path):
    marker = tmp_path / "executed"
    scalar = np.float64(1).__reduce__()[0]
    hidden = pickle.dumps(Command(os.mkdir, str(marker)))
    with pytest.raises(InputError):
        load_bytes(tmp_path, object_npy(pickle.dumps(ragged([Command(scalar, np.dtype(object), hidden)]))))
    assert not marker.exists()

    records = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    with pytest.raises(InputError, match=r"refused the array type 'V12'"):
        load_bytes(tmp_path, object_npy(pickle.dumps(ragged([records]))))


def test_a_forged_array_of_objects_does_not_become_pointers(tmp_path):
    """Bytes in the place of the list of objects, and a shape that asks for more than there is."""
    honest = pickle.dumps(ragged([np.zeros(2)]), protocol=2)
    assert honest.count(b"K\x02\x85") == 1
    with pytest.raises(InputError):
        load_bytes(tmp_path, object_npy(honest.replace(b"K\x02\x85", b"K\x09\x85")))
    forged = b"\x80\x02" + python_2_array(b"\x01", b"O8", b"|", b"U\x08" + b"A" * 8) + b"."
    with pytest.raises(InputError):
        load_bytes(tmp_path, object_npy(forged))


NAMES = [
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray.scalar",
    "_codecs.encode", "builtins.bytes", "__builtin__.set", "builtins.eval", "os.mkdir",
]  # fmt: skip


def refused(folder: Path, program: bytes, shape: tuple = (1,)) -> InputError:
    """The error of a .npy file with these opcodes, which changes nothing for others."""
    content = object_npy(b"\x80\x04" + program + b".", shape)
    before = forged.shared_state(*READERS)
    with pytest.raises(InputError) as raised, forged.at_most(1000 + 100 * len(content)):
        load_bytes(folder, content)
    assert forged.shared_state(*READERS) == before
    assert "file.npy: " in str(raised.value) and "\n" not in str(raised.value) and len(str(raised.value)) < 500
    return raised.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attribute", ["__defaults__", "__kwdefaults__", "__doc__", "__globals__", "anything", "dtype"])
def test_a_file_cannot_set_an_attribute_for_everybody_else(folder, name, attribute):
    """BUILD sets attributes: the first item of a pair goes into __dict__, the second through setattr."""
    module, _, name = name.rpartition(".")
    imported = f"c{module}\n{name}\n".encode()
    for state in ((None, {attribute: None}), (None, {attribute: ("f8",)}), {attribute: 1}):
        refused(folder, imported + plain(state) + b"b")
        refused(folder, imported + b")R" + plain(state) + b"b")
    np.save(folder / "after.npy", ragged([b"bytes", np.ones(1)]), allow_pickle=True)
    assert load_npy(folder / "after.npy")[0] == b"bytes"


FLOATS = b"cnumpy\ndtype\n" + plain(("f4",)) + b"R"


@pytest.mark.parametrize(
    "state",
    [
        (3, "i4,", None, None, None, -1, -1, 0),
        (3, "M8[ns],", None, None, None, -1, -1, 0),
        (3, "V", None, None, None, -1, -1, 0),
        (3, "<", None, ("a",), {"a": 1}, 8, 1, 0),
        (3, "<", ("f4", (2,)), None, None, 8, 1, 0),
        (3,),
        3,
    ],
)
def test_the_state_of_a_type_cannot_make_it_another(folder, state):
    array = b"cnumpy.core.multiarray\n_reconstruct\n" + plain((None, 0, "b")) + b"R"
    program = array + b"(K\x01" + plain((1,)) + FLOATS + plain(state) + b"b\x89" + plain("\0" * 16) + b"tb"
    refused(folder, program)


@pytest.mark.parametrize("shape", [("x", 1), (1, [None]), (2,), (-1, -1), 1, (1,) * 1000])
def test_the_shape_of_an_object_array_is_checked(folder, shape):
    """A product with text or a list in it would repeat that."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n" + plain((None, 0, "b")) + b"R"
    objects = b"cnumpy\ndtype\n" + plain(("O8",)) + b"R"
    error = refused(folder, array + b"(K\x01" + plain(shape) + objects + b"\x89]Natb")
    assert "shape" in str(error)


def test_text_that_is_no_text_is_refused(folder):
    """Every element of U1 is a number of a character; 0x110000 and above are none."""
    array = np.array(["a", "b"])
    honest = io.BytesIO()
    np.save(honest, array)
    for content in (honest.getvalue(), object_npy(pickle.dumps(ragged([array])))):
        assert load_bytes(folder, content).size
        with pytest.raises(InputError):
            load_bytes(folder, content.replace(b"b\0\0\0", b"b\0\0\1"))


@pytest.mark.parametrize("array", [np.zeros(2, "M8[s]"), np.zeros(2, "m8[s]"), np.zeros(2, "i4,f4"), np.zeros(2, "V3")])
def test_other_types_are_refused(folder, array):
    np.save(folder / "file.npy", array)
    with pytest.raises(InputError, match=r"file\.npy: holds an array of type .*, expected numbers or text"):
        load_npy(folder / "file.npy")


def test_shared_lists_and_tuples_take_linear_time(folder):
    """n levels in which everything is there twice are 2^n values, if each is looked at as often as it appears."""
    for program in (forged.nested_lists(200), forged.nested_tuples(200)):
        refused(folder, program)
        refused(folder, object_array(program))
        refused(folder, b"}" + program + b"Ns")
        refused(folder, b"\x8f(" + program + b"\x90")
        refused(folder, b"c__builtin__\nset\n](" + program + b"e\x85R")
        refused(folder, b"cnumpy\ndtype\n(" + program + b"tR")
        refused(folder, b"cnumpy.core.multiarray\nscalar\n(" + FLOATS + program + b"tR")
        refused(folder, b"c_codecs\nencode\n(" + program + b"Nt\x85R")
    shared = ["a", 1.5]
    for _ in range(10):
        shared = [shared, shared]
    assert load_bytes(folder, object_npy(pickle.dumps(ragged([shared, shared])), (2,))).tolist() == [shared, shared]


def object_array(item: bytes) -> bytes:
    """Opcodes of an object array of one item."""
    return python_2_array(b"\x01", b"O8", b"|", b"](" + item + b"e")


@pytest.mark.parametrize("deep", [b"]" * 5000 + b"a" * 4999, b")" + b"\x85" * 5000, b"]q\x00h\x00a"])
def test_nesting_is_limited(folder, deep):
    refused(folder, deep)
    refused(folder, object_array(deep))
    refused(folder, object_array(b"}X\x01\x00\x00\x00a" + deep + b"s"))


def test_lists_that_hold_the_one_before_are_limited(folder):
    chain = b"](" + b"](" + b"".join(b"](h\x00eq\x00" for _ in range(2000)) + b"ee"
    refused(folder, object_array(b"]q\x000" + chain))


def test_content_is_used_once(folder):
    """Arrays that share a list of objects, and bytes of the same text: quadratic, if each use copies it."""
    state = b"(K\x01" + plain((1000,)) + b"cnumpy\ndtype\n" + plain(("O8",)) + b"R\x89](" + b"N" * 1000 + b"et"
    array = b"cnumpy.core.multiarray\n_reconstruct\n" + plain((None, 0, "b")) + b"R"
    again = array + b"h\x40b"
    error = refused(folder, object_array(b"]" + array + state + b"q\x40b" + b"a" + (again + b"a") * 1000))
    assert "again" in str(error)
    encode = b"c_codecs\nencode\n" + b"h\x41R"
    text = plain(("x" * 10000, "latin1")) + b"q\x410"
    assert "again" in str(refused(folder, object_array(text + b"](" + encode * 2000 + b"e")))
    numbers = b"\x8f(" + b"".join(map(plain, range(1000))) + b"\x90"  # a set
    for members in (plain(dict.fromkeys(map(str, range(1000)))), numbers):
        sets = b"c__builtin__\nset\nh\x41R" * 5000
        assert "again" in str(refused(folder, object_array(members + b"\x85q\x410](" + sets + b"e")))


@settings(deadline=None, max_examples=500)
@given(forged.programs(NAMES))
def test_no_program_changes_anything_or_runs_on(folder, program):
    before = forged.shared_state(*READERS)
    content = object_npy(program, ())
    with contextlib.suppress(InputError), forged.at_most(1000 + 100 * len(content)):
        load_bytes(folder, content)
    assert forged.shared_state(*READERS) == before


CONTENT = object_npy(pickle.dumps(ragged([np.ones((2, 3)), ["a", {"b": 1.5}]])), (2,))


@settings(deadline=None)
@given(st.integers(0, len(CONTENT) - 1))
def test_a_truncated_file_is_an_input_error(folder, length):
    with pytest.raises(InputError, match=r"file\.npy"):
        load_bytes(folder, CONTENT[:length])


@settings(deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.integers(0, 255))
def test_a_damaged_byte_gives_an_array_or_an_input_error(folder, place, byte):
    damaged = CONTENT[:place] + bytes([byte]) + CONTENT[place + 1 :]
    try:
        assert isinstance(load_bytes(folder, damaged), np.ndarray)
    except InputError as error:
        assert "file.npy" in str(error) and "\n" not in str(error)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_bits_change_nothing_and_take_linear_time(folder, flips):
    damaged = bytearray(CONTENT)
    for place, bit in flips:
        damaged[place] ^= 1 << bit
    before = forged.shared_state(*READERS)
    with contextlib.suppress(InputError), forged.at_most(1000 + 100 * len(damaged)):
        assert isinstance(load_bytes(folder, bytes(damaged)), np.ndarray)
    assert forged.shared_state(*READERS) == before


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_an_array_or_an_input_error(folder, content):
    with pytest.raises(InputError):
        load_bytes(folder, object_npy(content, (2,)))


def test_messages_name_the_file(tmp_path):
    with pytest.raises(InputError, match=r"gone\.npy: no such file"):
        load_npy(tmp_path / "gone.npy")
    with pytest.raises(InputError, match=r"file\.npy: not a whole \.npy file"):
        load_bytes(tmp_path, b"")
    with pytest.raises(InputError, match=r"not a whole \.npy file"):
        load_bytes(tmp_path, b"PK\x03\x04 an archive")
    with pytest.raises(InputError, match="expected a pickled array of shape"):
        load_bytes(tmp_path, object_npy(pickle.dumps([1, 2])))
    with pytest.raises(InputError, match="not a whole"):
        load_npy(tmp_path)
