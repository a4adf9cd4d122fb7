"""A video gets the same chunk by chunk as in one piece, and a long one compiles nothing more."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.tscnet.small import CLASSES, SIZES, WIDTH, small_config, small_variables
from tsc_jax.inference import make_inference, pad

LONGEST = 40  # of the videos that are computed in one piece, padded to one length


def make(**changes):
    """The forward pass of a small network in one piece and in chunks, and its variables."""
    config = small_config(**changes)
    inference = make_inference(config, SIZES)
    return inference.whole, inference.chunked, small_variables(config)


@pytest.fixture(scope="module")
def network():
    return make()


def video(length: int) -> np.ndarray:
    return np.random.default_rng(length).random((length, WIDTH), np.float32)


def assert_equal_in_chunks(network, length: int, chunk: int) -> None:
    whole, chunked, variables = network
    outputs, alone = chunked(variables, video(length), chunk), whole(variables, *pad([video(length)], 1, LONGEST))
    assert outputs.snippets.keys() == alone.snippets.keys() == {"cas", "attention"}
    for name, array in alone.snippets.items():
        assert outputs.snippets[name].shape[:2] == (1, length)
        np.testing.assert_allclose(outputs.snippets[name], array[:, :length], rtol=1e-4, atol=1e-5, err_msg=name)


# Few chunk sizes, since each is a compilation.
@settings(max_examples=15)
@given(st.integers(1, LONGEST), st.sampled_from([3, 16]))
def test_chunks_give_what_the_whole_video_gives(network, length, chunk):
    assert_equal_in_chunks(network, length, chunk)


@pytest.mark.parametrize("off", [["tce"], ["mfip", "dsa"]])
def test_chunks_give_the_same_where_parts_are_switched_off(off):
    assert_equal_in_chunks(make(**{f"model.{part}": False for part in off}), 20, 8)


def test_a_long_video_compiles_no_more_than_one_of_two_chunks(network, caplog):
    _, chunked, variables = network
    chunked(variables, video(17), 16)
    done = []
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        outputs = chunked(variables, video(300), 16, done.append).snippets
    assert done == [16] * 18 + [12]
    assert not [record for record in caplog.records if "XLA compilation" in record.getMessage()]
    assert outputs["cas"].shape == (1, 300, CLASSES + 1) and np.isfinite(outputs["cas"]).all()
    assert ((outputs["attention"] > 0) & (outputs["attention"] < 1)).all()
