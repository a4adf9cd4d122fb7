"""Classification mAP: how well the class scores of videos tell which actions they contain."""

import numpy as np

from tsc_jax.errors import InputError


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean of `average_precision` over the classes that occur.

    Args:
      scores: float [V, C], the method's score of each class in each video.
      labels: bool [V, C], the classes that each video contains.

    Returns:
      From 0 to 1.

    Raises:
      InputError: no video has a label.
    """
    if not labels.any():
        raise InputError("classification mAP needs labelled videos, but no video to evaluate has a label")
    columns = zip(scores.T, labels.T, strict=True)
    return float(np.mean([average_precision(score, label) for score, label in columns if label.any()]))


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean, over the positive videos, of the precision among all videos that score at least as much.

    Equals scikit-learn's average_precision_score: precision is not interpolated, and equal scores count together, so
    that the order of the videos does not matter.

    Args:
      scores: [V].
      labels: bool [V], at least one of them true.
    """
    everything, positives = np.sort(scores), np.sort(scores[labels])
    reached = len(everything) - np.searchsorted(everything, positives)
    hits = len(positives) - np.searchsorted(positives, positives)
    return float(np.mean(hits / reached))
