"""Soft and hard NMS equal the sequential procedures bit for bit, whatever overlaps and ties there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tests.localization.made_up import segments
from tsc_jax.localization.nms import covered_share, hard_nms, soft_nms, tiou
from tsc_jax.localization.segments import make_segments


def assert_equals_the_loops(result, given_segments, loop):
    rows = []
    for video, label in sorted(set(zip(given_segments.video.tolist(), given_segments.label.tolist(), strict=True))):
        of_group = given_segments[(given_segments.video == video) & (given_segments.label == label)]
        triples = zip(of_group.start, of_group.end, of_group.score, strict=True)
        rows += [(video, label, *row) for row in loop(triples)]
    columns = [result.video, result.label, result.start, result.end, result.score]
    np.testing.assert_array_equal(np.stack(columns, axis=1), np.reshape(rows, (-1, 5)))


@settings(max_examples=300)
@given(segments(), st.sampled_from([0.1, 0.3, 2.0]), st.booleans())
def test_soft_nms_equals_the_sequential_procedure(given_segments, sigma, pixels):
    result = soft_nms(given_segments, sigma, pixels=pixels)
    assert_equals_the_loops(result, given_segments, lambda rows: oracles.soft_nms(rows, sigma, int(pixels)))


@settings(max_examples=300)
@given(segments(), st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans(), st.sampled_from([tiou, covered_share]))
def test_hard_nms_equals_the_sequential_procedure(given_segments, limit, pixels, overlap):
    result = hard_nms(given_segments, limit, pixels=pixels, overlap=overlap)
    share = getattr(oracles, overlap.__name__)
    assert_equals_the_loops(result, given_segments, lambda rows: oracles.hard_nms(rows, limit, share, int(pixels)))


def test_soft_nms_drops_nothing_and_the_best_keeps_its_score():
    several = make_segments(0, 0, [0, 0, 50], [10, 10, 60], [1.0, 2.0, 1.5])
    result = soft_nms(several, 0.3, pixels=True)
    np.testing.assert_array_equal(result.score[:2], [2.0, 1.5])
    np.testing.assert_allclose(result.score[2], np.exp(-1 / 0.3))


def test_a_long_segment_over_a_short_winner_stays_when_its_covered_share_counts():
    nested = make_segments(0, 0, [0, 4], [20, 8], [1.0, 2.0])
    np.testing.assert_array_equal(hard_nms(nested, 0.5, pixels=True, overlap=covered_share).score, [2.0, 1.0])
    nested = make_segments(0, 0, [0, 4], [20, 8], [2.0, 1.0])
    np.testing.assert_array_equal(hard_nms(nested, 0.5, pixels=True, overlap=covered_share).score, [2.0])
    np.testing.assert_array_equal(hard_nms(nested, 0.5, pixels=True).score, [2.0, 1.0])


@pytest.mark.parametrize(("pixels", "expected"), [(False, 2 / 6), (True, 3 / 7)])
def test_tiou_of_two_segments(pixels, expected):
    ends = (np.array([4.0]), np.array([6.0]))
    np.testing.assert_allclose(tiou(np.array([0.0]), ends[0], np.array([2.0]), ends[1], pixels=pixels), expected)
