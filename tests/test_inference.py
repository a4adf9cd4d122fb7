"""Every video gets the same in a padded batch as alone, whatever the method."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import toy
from tests.data.test_batches import made_up_split
from tests.data.test_lengths import thumos_lengths
from tsc_jax import methods
from tsc_jax.data.lengths import MAX_LENGTHS
from tsc_jax.inference import Forward, Look, infer, infer_everywhere, make_inference, of_video, pad, padded_batches
from tsc_jax.method import Outputs, Sizes, first_state

CLASSES, WIDTH = 3, 5


@settings(max_examples=10)
@given(st.integers(0, 99), st.sampled_from([1, 3]))
def test_rows_without_a_video_waste_little(seed, devices):
    lengths = thumos_lengths(seed)
    split = split_of(lengths, lambda index: np.zeros((lengths[index], 1), np.float32))
    shapes = [mask.shape for _, _, mask in padded_batches(split, np.arange(212), 8192, devices)]
    assert len(set(shapes)) <= MAX_LENGTHS
    assert all(rows % devices == 0 for rows, _ in shapes)
    assert sum(rows * length for rows, length in shapes) <= (1.25 if devices == 1 else 1.5) * lengths.sum()


def test_every_video_comes_once_with_its_features():
    split, indices = made_up_split(videos=30), np.arange(2, 30)
    seen, shapes = [], set()
    for chosen, features, mask in padded_batches(split, indices, batch_snippets=100, devices=1):
        shapes.add(features.shape)
        assert features.shape[0] * features.shape[1] <= 100
        for row, index in enumerate(chosen):
            seen.append(index)
            np.testing.assert_array_equal(features[row][mask[row]], split.features(index))
            assert not features[row][~mask[row]].any()
        assert not mask[len(chosen) :].any()
    assert sorted(seen) == indices.tolist()
    assert len(shapes) <= MAX_LENGTHS


def split_of(lengths, read) -> SimpleNamespace:
    """A split without labels."""
    return SimpleNamespace(videos=[SimpleNamespace(num_snippets=length) for length in lengths], features=read)


def video(length: int) -> np.ndarray:
    return np.random.default_rng(length).random((length, WIDTH), np.float32)


LENGTHS = [1, 7, 30, 8, 21, 3, 7, 64, 65, 150]
SPLIT = split_of(LENGTHS, lambda index: video(LENGTHS[index]))


@pytest.fixture(scope="module")
def made():
    """The toy method ready for inference, and its variables."""
    config, sizes = toy.recipe(), Sizes(CLASSES, WIDTH)
    method = methods.make(config, sizes)
    state = first_state(method, 0)
    return make_inference(config, sizes), method.variables(state.params, state.carried)


def test_infer_gives_every_video_what_it_gets_alone(made):
    """Videos longer than a batch too; outputs of snippets are cut to the video's length."""
    inference, variables = made
    indices = np.arange(1, len(LENGTHS))
    assert jax.local_device_count() == 8 and inference.chunked is None
    inferred = list(infer(inference, variables, SPLIT, indices, batch_snippets=64))
    assert sorted(index for index, _ in inferred) == indices.tolist()
    for index, outputs in inferred:
        alone = inference.whole(variables, *pad([video(LENGTHS[index])], 1, max(LENGTHS)))
        assert outputs.keys() == {"cas", "attention", "top"}
        for name, array in of_video(alone, 0, LENGTHS[index]).items():
            np.testing.assert_allclose(outputs[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_long_videos_alone_go_in_chunks():
    cut = []

    def chunked(variables, features, chunk, progress):
        cut.append((len(features), chunk))
        progress(len(features))
        return Outputs({"sum": np.asarray(features + variables).sum(axis=-1)[None]})

    whole = jax.jit(lambda variables, features, mask: Outputs({"sum": jnp.sum(features + variables, axis=-1)}))
    forward = Forward(whole, chunked)
    outputs = infer_everywhere(forward, np.float32(1), SPLIT, np.arange(len(LENGTHS)), batch_snippets=64)
    assert sorted(cut) == [(65, 64), (150, 64)]
    done = []
    everything = (np.float32(1), SPLIT, np.arange(len(LENGTHS)), 64, done.append)
    assert len(list(infer(forward, *everything))) == len(LENGTHS) and sorted(done) == sorted(LENGTHS)
    for index, length in enumerate(LENGTHS):
        np.testing.assert_allclose(outputs[index]["sum"], (video(length) + 1).sum(axis=-1), rtol=1e-5)


def test_a_look_gives_the_outputs_of_every_video_in_order():
    look = Look(SPLIT, seed=3, batch_snippets=64)
    seen = look.run(lambda scale, features, mask: Outputs({"x": scale * features}, {"n": jnp.sum(mask, axis=1)}), 2.0)
    assert [int(each["n"]) for each in seen] == LENGTHS
    for each, length in zip(seen, LENGTHS, strict=True):
        np.testing.assert_array_equal(each["x"], 2 * video(length))
