"""The lengths that videos are padded to waste least, and are few."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.data.lengths import MAX_LENGTHS, padded_lengths, tightest_lengths


def padded(lengths: np.ndarray, buckets) -> np.ndarray:
    """Each length rounded up to a bucket."""
    return np.asarray(buckets)[np.searchsorted(buckets, lengths)]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 4))
def test_tightest_lengths_waste_least(lengths, number):
    lengths = np.array(lengths)
    distinct = sorted(set(lengths.tolist()))
    choices = (
        (*some, distinct[-1])
        for size in range(min(number, len(distinct)))
        for some in itertools.combinations(distinct[:-1], size)
    )
    least = min(padded(lengths, choice).sum() for choice in choices)
    assert padded(lengths, tightest_lengths(lengths, number)).sum() == least


def thumos_lengths(seed: int) -> np.ndarray:
    """As THUMOS-14's test videos: median 241 snippets, longest 2,615."""
    rng = np.random.default_rng(seed)
    return np.minimum(np.exp(rng.normal(np.log(241), 0.8, 212)).astype(int) + 1, 2615)


def test_few_shapes_and_little_waste_on_lengths_like_thumos():
    lengths = thumos_lengths(0)
    buckets = padded_lengths(lengths)
    assert len(buckets) <= MAX_LENGTHS
    assert padded(lengths, buckets).sum() <= 1.2 * lengths.sum()
    fewer = tightest_lengths(lengths, len(buckets) - 1)
    assert padded(lengths, fewer).sum() > 1.2 * lengths.sum()


def test_single_videos_share_few_lengths():
    lengths = np.arange(1, 3000)
    alone = np.concatenate([padded_lengths(lengths[i : i + 1]) for i in range(len(lengths))])
    assert (alone >= lengths).all() and (alone <= 1.25 * lengths).all()
    assert len(set(alone[16:])) <= 4 * 8
