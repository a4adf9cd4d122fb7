"""Density rescoring equals the plain sums, and keeps what it should."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.localization.made_up import segments
from tsc_jax.localization.density import by_density
from tsc_jax.localization.groups import best_scores, pairs
from tsc_jax.localization.segments import make_segments


def loops(several, power):
    """Compares every proposal with every other."""
    rows = list(zip(*dataclasses.asdict(several).values(), strict=True))
    scores = []
    for video, label, start, end, score in rows:
        own = [row for row in rows if row[:2] == (video, label)]
        density = sum(oracles.tiou((start, end), row[2:4]) * max(row[4], 0) for row in own)
        scores.append(score * max(density, score) ** power if score > 0 else score)
    return scores


@given(segments(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]))
def test_equals_the_loops(given_segments, power):
    result = by_density(given_segments, power)
    np.testing.assert_allclose(result.score, loops(given_segments, power), rtol=1e-12)
    np.testing.assert_array_equal([result.start, result.end], [given_segments.start, given_segments.end])
    if power == 0:
        np.testing.assert_array_equal(result.score, given_segments.score)


def test_a_proposal_gains_by_company_and_not_by_another_class_or_video():
    alone = make_segments(0, 0, [0], [10], [0.5])
    np.testing.assert_allclose(by_density(alone, 1).score, [0.25])
    others = make_segments([0, 1], [1, 0], [0, 0], [10, 10], [5.0, 5.0])
    columns = (np.concatenate(each) for each in zip(vars(alone).values(), vars(others).values(), strict=True))
    np.testing.assert_allclose(by_density(make_segments(*columns), 1).score, [0.25, 25, 25])
    together = make_segments(0, 0, [0, 0, 5], [10, 10, 15], [0.5, 0.3, -1])
    np.testing.assert_allclose(by_density(together, 1).score, [0.5 * 0.8, 0.3 * 0.8, -1])


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 12))
def test_blocks_hold_all_pairs_in_order_and_are_small(counts, most):
    first = np.arange(len(counts)) * 3
    blocks = list(pairs(first, first + np.array(counts, int), most))
    found = [(r, p) for row, place, _ in blocks for r, p in zip(row.tolist(), place.tolist(), strict=True)]
    assert found == [(r, 3 * r + i) for r, count in enumerate(counts) for i in range(count)]
    assert all(len(row) <= most or len(set(row)) == 1 for row, _, _ in blocks)
    assert all(set(row) == set(range(rows.start, rows.stop)) for row, _, rows in blocks)


@given(segments())
def test_the_best_score_is_that_of_the_video_and_class(several):
    keys = list(zip(several.video, several.label, strict=True))
    expected = [max(s for k, s in zip(keys, several.score, strict=True) if k == key) for key in keys]
    np.testing.assert_array_equal(best_scores(several), expected)
