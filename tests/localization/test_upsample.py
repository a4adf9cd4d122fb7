"""Tracks with a finer resolution."""

import numpy as np
import pytest

from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.upsample import upsampled


def test_values_are_taken_in_the_middle_of_each_part():
    track = np.array([[0.0, 1.0], [4.0, 1.0], [0.0, 1.0]])
    # Middles of the parts at 1/4, 3/4, ... and of the snippets at 1/2, 3/2, 5/2.
    np.testing.assert_allclose(upsampled(track, 2)[:, 0], [0, 1, 3, 3, 1, 0])
    np.testing.assert_allclose(upsampled(track, 2)[:, 1], 1)


@pytest.mark.parametrize("factor", [1, 3, 20])
def test_an_odd_factor_keeps_the_values_and_a_straight_line_stays_one(factor):
    track = np.arange(6.0)[:, None]
    fine = upsampled(track, factor)
    assert fine.shape == (6 * factor, 1)
    if factor % 2:
        np.testing.assert_allclose(fine[factor // 2 :: factor], track)
    inner = fine[factor // 2 : -(factor // 2) or None, 0]
    np.testing.assert_allclose(np.diff(inner), 1 / factor)


def test_one_snippet_is_constant():
    np.testing.assert_array_equal(upsampled(np.array([[0.25]]), 4), np.full((4, 1), 0.25))


def test_a_run_begins_where_the_line_crosses_the_threshold():
    fine = upsampled(np.array([[0.0], [1.0], [1.0], [0.0]]), 1000)[:, 0]
    start, end = runs_above(fine, np.array([0.25]))
    np.testing.assert_allclose([start[0] / 1000, end[0] / 1000], [0.75, 3.25], atol=2e-3)
