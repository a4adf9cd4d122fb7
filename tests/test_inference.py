"""Buckets waste least; a video gets the same in a padded batch as alone."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_batches import made_up_split
from tsc_jax.inference import MAX_LENGTHS, infer, padded_batches, padded_lengths, tightest_lengths


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
    assert buckets[np.searchsorted(buckets, lengths)].sum() <= 1.25 * lengths.sum()
    fewer = tightest_lengths(lengths, len(buckets) - 1)
    assert fewer[np.searchsorted(fewer, lengths)].sum() > 1.25 * lengths.sum()


def test_every_video_comes_once_with_its_features():
    split = made_up_split(videos=30)
    indices = np.arange(2, 30)
    seen, shapes = [], set()
    for chosen, features, mask in padded_batches(split, indices, batch_snippets=100):
        shapes.add(features.shape)
        assert features.shape[0] * features.shape[1] <= 100
        for row, index in enumerate(chosen):
            seen.append(index)
            np.testing.assert_array_equal(features[row][mask[row]], split.features(index))
            assert not features[row][~mask[row]].any()
        assert not mask[len(chosen) :].any()
    assert sorted(seen) == indices.tolist()
    assert len(shapes) <= MAX_LENGTHS


def test_infer_returns_videos_without_padding():
    split = made_up_split(videos=6)

    def forward(variables, bank_rows, features, mask):
        del variables, bank_rows
        return features, features[..., 1]

    for index, cas, attention in infer(forward, {}, None, split, np.arange(6), 64):
        np.testing.assert_array_equal(cas, split.features(index))
        np.testing.assert_array_equal(attention, np.arange(split.videos[index].num_snippets))
