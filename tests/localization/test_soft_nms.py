"""Soft-NMS equals the sequential procedure bit for bit, whatever overlaps and ties there are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tsc_jax.localization.segments import make_segments
from tsc_jax.localization.soft_nms import soft_nms


@st.composite
def segments(draw):
    """Few places and few scores, some negative: many overlaps, duplicates and ties."""
    count = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = rng.integers(0, draw(st.sampled_from([5, 40, 200])), count)
    length = rng.integers(0, draw(st.sampled_from([2, 8, 30])), count)
    score = rng.integers(-4, 5, count) / draw(st.sampled_from([1, 3]))
    return make_segments(rng.integers(0, 3, count), rng.integers(0, 2, count), start, start + length, score)


@settings(max_examples=300, deadline=None)
@given(segments(), st.sampled_from([0.1, 0.3, 2.0]))
def test_equals_the_sequential_procedure(given_segments, sigma):
    result = soft_nms(given_segments, sigma)
    rows = []
    for video, label in sorted(set(zip(given_segments.video.tolist(), given_segments.label.tolist(), strict=True))):
        of_group = given_segments[(given_segments.video == video) & (given_segments.label == label)]
        triples = zip(of_group.start, of_group.end, of_group.score, strict=True)
        rows += [(video, label, *row) for row in oracles.soft_nms(triples, sigma)]
    columns = [result.video, result.label, result.start, result.end, result.score]
    np.testing.assert_array_equal(np.stack(columns, axis=1), np.reshape(rows, (-1, 5)))


def test_nothing_is_dropped_and_the_best_keeps_its_score():
    several = make_segments(0, 0, [0, 0, 50], [10, 10, 60], [1.0, 2.0, 1.5])
    result = soft_nms(several, 0.3)
    np.testing.assert_array_equal(result.score[:2], [2.0, 1.5])
    np.testing.assert_allclose(result.score[2], np.exp(-1 / 0.3))
