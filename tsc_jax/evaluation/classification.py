"""Classification mAP: how well the class scores of videos tell which actions they contain."""

import numpy as np

from tsc_jax.errors import InputError


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean `average_precision`, from 0 to 1, of the classes that occur.

    `scores` float [V, C] and `labels` bool [V, C] are of each class in each video. Raises InputError without labels.
    """
    if not labels.any():
        raise InputError("classification mAP needs labelled videos, but no video to evaluate has a label")
    columns = zip(scores.T, labels.T, strict=True)
    return float(np.mean([average_precision(score, label) for score, label in columns if label.any()]))


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean, over the positive videos, of the precision among all videos that score at least as much.

    Equals scikit-learn's average_precision_score: precision is not interpolated, and equal scores count together, so
    that the order of the videos does not matter. `scores` [V]; `labels` bool [V], at least one of them true.
    """
    everything, positives = np.sort(scores), np.sort(scores[labels])
    reached = len(everything) - np.searchsorted(everything, positives)
    hits = len(positives) - np.searchsorted(positives, positives)
    return float(np.mean(hits / reached))
