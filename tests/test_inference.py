"""Buckets waste least; a video gets the same in a padded batch, or chunk by chunk, as alone."""

import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_batches import made_up_split
from tests.methods.tscnet.small import CLASSES, WIDTH, small_config, small_state
from tsc_jax.inference import (
    MAX_LENGTHS,
    infer,
    infer_in_chunks,
    make_forward,
    padded_batches,
    padded_lengths,
    tightest_lengths,
)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 4))
def test_tightest_lengths_waste_least(lengths, number):
    lengths = np.array(lengths)

    def padded(buckets):
        return np.array(buckets)[np.searchsorted(buckets, lengths)].sum()

    distinct = sorted(set(lengths.tolist()))
    choices = (
        (*some, distinct[-1])
        for size in range(min(number, len(distinct)))
        for some in itertools.combinations(distinct[:-1], size)
    )
    assert padded(tightest_lengths(lengths, number)) == min(map(padded, choices))


def test_few_shapes_and_little_waste_on_lengths_like_thumos():
    # As THUMOS-14's test videos: median 241 snippets, longest 2,615.
    rng = np.random.default_rng(0)
    lengths = np.minimum(np.exp(rng.normal(np.log(241), 0.8, 212)).astype(int) + 1, 2615)
    buckets = padded_lengths(lengths)
    assert len(buckets) <= MAX_LENGTHS
    assert buckets[np.searchsorted(buckets, lengths)].sum() <= 1.2 * lengths.sum()
    fewer = tightest_lengths(lengths, len(buckets) - 1)
    assert fewer[np.searchsorted(fewer, lengths)].sum() > 1.2 * lengths.sum()


@settings(max_examples=10)
@given(st.integers(0, 99), st.sampled_from([1, 3]))
def test_rows_without_a_video_waste_little_too(seed, devices):
    lengths = np.minimum(np.exp(np.random.default_rng(seed).normal(np.log(241), 0.8, 212)).astype(int) + 1, 2615)
    videos = [SimpleNamespace(num_snippets=length) for length in lengths]
    split = SimpleNamespace(videos=videos, features=lambda index: np.zeros((lengths[index], 1), np.float32))
    shapes = [mask.shape for _, _, mask in padded_batches(split, np.arange(212), 8192, devices)]
    assert len(set(shapes)) <= MAX_LENGTHS
    assert all(rows % devices == 0 for rows, _ in shapes)
    assert sum(rows * length for rows, length in shapes) <= (1.25 if devices == 1 else 1.5) * lengths.sum()


def test_every_video_comes_once_with_its_features():
    split = made_up_split(videos=30)
    indices = np.arange(2, 30)
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


def make(config):
    """The forward pass of a small network, its variables and bank rows."""
    state = small_state(config)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    return make_forward(config.model, CLASSES, WIDTH), variables, state.bank.rows


@pytest.fixture(scope="module")
def network():
    return make(small_config())


def alone(network, features):
    """Fused CAS and attention of one video that is padded with nothing."""
    forward, variables, bank_rows = network
    cas, attention = forward.whole(variables, bank_rows, features[None], np.ones((1, len(features)), bool))
    return np.asarray(cas[0]), np.asarray(attention[0])


def video(length):
    return np.random.default_rng(length).random((length, WIDTH), np.float32)


def test_infer_gives_every_video_what_it_gets_alone(network):
    lengths = [1, 7, 30, 8, 21, 3, 7, 64, 65, 150]
    split = SimpleNamespace(
        videos=[SimpleNamespace(num_snippets=length) for length in lengths],
        features=lambda index: video(lengths[index]),
    )
    indices = np.arange(1, len(lengths))
    assert jax.local_device_count() == 8
    found = {index: outputs for index, *outputs in infer(*network, split, indices, batch_snippets=64)}
    assert sorted(found) == indices.tolist()
    for index, outputs in found.items():
        for ours, expected in zip(outputs, alone(network, video(lengths[index])), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=12)
@given(st.integers(1, 70), st.sampled_from([1, 4, 16, 70]))
def test_chunks_give_what_the_whole_video_gives(network, length, chunk):
    for ours, expected in zip(
        infer_in_chunks(*network, video(length), chunk), alone(network, video(length)), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("off", [["tce"], ["mfip", "dsa"]])
def test_chunks_give_the_same_where_parts_are_switched_off(off):
    config = small_config()
    config.model.update(dict.fromkeys(off, False))
    network = make(config)
    for ours, expected in zip(infer_in_chunks(*network, video(20), 8), alone(network, video(20)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_video_of_three_hours_compiles_no_more_than_a_short_one(network):
    forward, *rest = network
    forward = make_forward(small_config().model, CLASSES, WIDTH)
    parts = [getattr(forward, name) for name in ("project", "absorb", "finish")]
    infer_in_chunks(forward, *rest, video(2049), chunk=2048)
    compiled = [part._cache_size() for part in parts]
    cas, attention = infer_in_chunks(forward, *rest, video(17_000), chunk=2048)
    assert [part._cache_size() for part in parts] == compiled
    assert cas.shape == (17_000, CLASSES + 1)
    assert np.isfinite(cas).all()
    assert ((attention > 0) & (attention < 1)).all()


def test_single_videos_share_few_lengths():
    lengths = np.arange(1, 3000)
    padded = np.concatenate([padded_lengths(lengths[i : i + 1]) for i in range(len(lengths))])
    assert (padded >= lengths).all() and (padded <= 1.25 * lengths).all()
    assert len(set(padded[16:])) <= 4 * 8
