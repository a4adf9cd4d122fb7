"""Classification mAP: scikit-learn's average precision of softmax scores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsc_jax.errors import InputError
from tsc_jax.evaluation import classification


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([2, 5, 1000]))
def test_average_precision_is_that_of_scikit_learn(seed, videos, levels):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, levels, videos) / levels, rng.random(videos) < 0.4
    labels[rng.integers(videos)] = True
    expected = sklearn_metrics.average_precision_score(labels, scores)
    np.testing.assert_allclose(classification.average_precision(scores, labels), expected, rtol=1e-12)


def test_equal_scores_count_together():
    found = classification.average_precision(np.array([2.0, 1.0, 1.0, 1.0]), np.array([False, True, True, False]))
    np.testing.assert_allclose(found, 2 / 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_equals_the_loops(seed, videos):
    rng = np.random.default_rng(seed)
    cas = [rng.normal(size=(rng.integers(1, 40), 4)) for _ in range(videos)]
    labels = rng.random((videos, 3)) < 0.5
    labels[0, 0] = True
    scores = np.zeros((videos, 3))
    for video, each in enumerate(cas):
        top = math.ceil(len(each) / 8)
        pooled = np.exp([np.mean(sorted(column)[-top:]) for column in each.T])
        scores[video] = pooled[:-1] / pooled.sum()
    per_class = []
    for score, label in zip(scores.T, labels.T, strict=True):
        if label.any():
            per_class.append(np.mean([label[score >= least].mean() for least in score[label]]))
    found = classification.mean_average_precision(cas, labels, 8)
    np.testing.assert_allclose(found, np.mean(per_class), rtol=1e-9)


def test_no_labels_are_refused():
    with pytest.raises(InputError, match="label"):
        classification.mean_average_precision([np.zeros((3, 2))], np.array([[False]]), 8)
