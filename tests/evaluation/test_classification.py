"""Classification mAP: the mean over classes of scikit-learn's average precision."""

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
    precision = classification.average_precision(np.array([2.0, 1.0, 1.0, 1.0]), np.array([False, True, True, False]))
    np.testing.assert_allclose(precision, 2 / 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from([2, 5, 1000]))
def test_the_mean_is_over_the_classes_that_occur(seed, videos, levels):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (videos, 3)) / levels).astype(np.float32)
    labels = rng.random((videos, 3)) < 0.4
    labels[0, 0] = True
    per_class = []
    for score, label in zip(scores.T, labels.T, strict=True):
        if label.any():
            per_class.append(np.mean([label[score >= least].mean() for least in score[label]]))
    mean = classification.mean_average_precision(scores, labels)
    np.testing.assert_allclose(mean, np.mean(per_class), rtol=1e-9)


def test_no_labels_are_refused():
    with pytest.raises(InputError, match="label"):
        classification.mean_average_precision(np.zeros((1, 1), np.float32), np.array([[False]]))
