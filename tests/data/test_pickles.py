"""Arrays come back as they were written."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.data.forged import assert_same, load_bytes, object_npy, python_2_array
from tests.data.layouts import ragged
from tsc_jax.data.pickles import load_npy

PLAIN = npst.arrays(
    st.one_of(npst.boolean_dtypes(), npst.integer_dtypes(), npst.floating_dtypes(), npst.byte_string_dtypes(),
              npst.unicode_string_dtypes()),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
VALUES = st.recursive(
    st.one_of(SCALARS, PLAIN),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.lists(inner, max_size=3).map(ragged),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pickles")


@settings(deadline=None)
@given(PLAIN)
def test_plain_arrays_come_back(folder, array):
    file = folder / "plain.npy"
    np.save(file, array)
    assert_same(load_npy(file), array)


@settings(deadline=None)
@given(st.lists(VALUES, max_size=4), st.sampled_from([2, 3, 4]))
def test_object_arrays_come_back_from_every_protocol(folder, values, protocol):
    array = ragged(values)
    content = pickle.dumps(array, protocol=protocol)
    # As NumPy does, which gives arrays inside of others the byte order of the machine.
    assert_same(load_bytes(folder, object_npy(content, array.shape)), pickle.loads(content))


def test_a_dict_saved_as_an_array_without_axes_comes_back(tmp_path):
    np.save(tmp_path / "dict.npy", {"X": [np.arange(6.0).reshape(2, 3)], "rate": np.float32(1.5)}, allow_pickle=True)
    loaded = load_npy(tmp_path / "dict.npy")
    assert loaded.shape == ()
    np.testing.assert_array_equal(loaded.item()["X"][0], [[0, 1, 2], [3, 4, 5]])
    assert loaded.item()["rate"] == np.float32(1.5)


def test_fortran_order_and_a_shared_array_come_back(tmp_path):
    shared = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.save(tmp_path / "shared.npy", ragged([shared, shared]), allow_pickle=True)
    for array in load_npy(tmp_path / "shared.npy"):
        np.testing.assert_array_equal(array, shared)


def test_what_python_2_wrote_is_read(tmp_path):
    numbers = np.array([1.5, -2.0], ">f4").tobytes()
    inner = python_2_array(b"\x02", b"f4", b">", b"U" + bytes([len(numbers)]) + numbers)
    words = b"](U\x03caf" + b"U\x04caf\xe9e"
    outer = b"\x80\x02" + python_2_array(b"\x02", b"O8", b"|", b"](" + inner + words + b"e") + b"."
    assert pickle.loads(outer, encoding="latin1").shape == (2,)  # the opcodes above are right
    array, text = load_bytes(tmp_path, object_npy(outer, (2,)))
    np.testing.assert_array_equal(array, [1.5, -2.0])
    assert text == ["caf", "café"]


def test_every_recorded_file_reads_as_numpy_reads_it(shared):
    annotations = [*shared.glob("annotations/*/*.npy"), *shared.glob("real/gestures/joint/*/*.npy")]
    assert len(annotations) > 20
    for file in annotations:
        ours, theirs = load_npy(file), np.load(file, allow_pickle=True, encoding="latin1")
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    features = shared / "real/gestures/joint/Gestures-I3D-JOINTFeatures.npy"
    assert_same(load_npy(features), np.load(features, allow_pickle=True))
