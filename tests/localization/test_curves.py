"""Runs, inner-outer contrast and video scores equal the loops that their docstrings describe."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.video_scores import admitted_classes, top_mean, video_scores


def curves(low=0, high=9):
    """[T] on a coarse grid, so that thresholds are met exactly."""
    return st.lists(st.integers(low, high), min_size=1, max_size=30).map(lambda values: np.array(values) / 8)


@given(curves(), st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=4), st.integers(1, 4))
def test_runs_equal_the_loops(curve, thresholds, shortest):
    expected = []
    for threshold in thresholds:
        runs = oracles.runs([t for t in range(len(curve)) if curve[t] > threshold])
        expected += [run for run in runs if run[1] - run[0] >= shortest]
    np.testing.assert_array_equal(
        np.stack(runs_above(curve, np.array(thresholds), shortest), axis=1), np.reshape(expected, (-1, 2))
    )


@settings(max_examples=200)
@given(
    curve=curves(-8, 32),
    outer_ratio=st.sampled_from([0.0, 0.25, 0.5, 1.5]),
    outer_weight=st.sampled_from([0.0, 0.6, 1.0]),
    overrun=st.sampled_from([0, 1]),
)
def test_contrast_equals_the_loops(curve, outer_ratio, outer_weight, overrun):
    snippets = len(curve)
    runs = [(a, b) for a in range(snippets) for b in range(a + 1, snippets + 1)]
    activations = np.stack([curve, 1 - curve], axis=1)
    result = inner_outer_contrast(
        activations, *np.array(runs).T, outer_ratio, outer_weight=outer_weight, overrun=overrun
    )
    for of_class, column in zip(result, activations.T, strict=True):
        for score, (start, end) in zip(of_class, runs, strict=True):
            margin = outer_ratio * (end - start)
            inside = column[start : end + overrun]
            before = column[max(0, int(start - margin)) : start]
            after = column[end + overrun : min(snippets - overrun, int(end + overrun + margin))]
            outside = np.concatenate([before, after])
            expected = inside.mean() - outer_weight * (outside.mean() if len(outside) else 0)
            np.testing.assert_allclose(score, expected, rtol=0, atol=1e-12)


def test_equal_runs_have_equal_contrast_wherever_they_are():
    """Values whose cumulative sums round: two identical runs must still tie."""
    action, silence = np.array([0.1, 0.7, 0.2]), np.full(4, 1e-3)
    curve = np.concatenate([silence, action, silence, [1e6] * 4, silence, action, silence])
    first, second = inner_outer_contrast(curve[:, None], np.array([4, 19]), np.array([7, 22]), 0.25)[0]
    assert first == second


def test_video_scores_are_a_distribution_without_background():
    activations = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    scores = video_scores(activations, 1)
    largest = np.exp(activations.max(axis=0))
    np.testing.assert_allclose(scores, (largest / largest.sum())[:-1], rtol=1e-6)
    assert scores.dtype == np.float32


def test_the_mean_of_all_snippets_is_the_largest_pool():
    activations = np.random.default_rng(0).normal(size=(9, 4))
    np.testing.assert_allclose(top_mean(activations, 9), activations.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(top_mean(activations, 2), np.sort(activations, axis=0)[-2:].mean(axis=0), rtol=1e-12)


def test_classes_at_the_threshold_are_admitted_and_the_best_one_on_demand():
    scores = np.array([0.2, 0.1, 0.5])
    np.testing.assert_array_equal(admitted_classes(scores, 0.2, at_least_one=False), [0, 2])
    np.testing.assert_array_equal(admitted_classes(scores, 0.6, at_least_one=False), [])
    np.testing.assert_array_equal(admitted_classes(scores, 0.6, at_least_one=True), [2])
