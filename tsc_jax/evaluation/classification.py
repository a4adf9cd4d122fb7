"""Classification mAP: how well the pooled activations tell which actions a video holds."""

from collections.abc import Sequence

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.localization.video_scores import video_scores


def mean_average_precision(cas: Sequence[np.ndarray], labels: np.ndarray, topk_ratio: int) -> float:
    """Mean over the classes that occur of the average precision of the video scores.

    Args:
      cas: fused class activations [T, C + 1] of each of V videos, without padding.
      labels: bool [V, C], the classes that occur in each.
      topk_ratio: a video's score pools its ceil(T / topk_ratio) largest activations.

    Returns:
      From 0 to 1.

    Raises:
      InputError: no video has a label.
    """
    if not labels.any():
        raise InputError("classification mAP needs labelled videos, but no video to evaluate has a label")
    scores = [video_scores(each.astype(np.float64), -(-len(each) // topk_ratio)) for each in cas]
    columns = zip(np.stack(scores, axis=1), labels.T, strict=True)
    return float(np.mean([average_precision(score, label) for score, label in columns if label.any()]))


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the positives of the precision among all that score at least as much.

    This is scikit-learn's average_precision_score: not interpolated, and equal scores count
    together, so the order of the videos does not matter.

    Args:
      scores: [V].
      labels: bool [V], at least one of them true.
    """
    everything, positives = np.sort(scores), np.sort(scores[labels])
    reached = len(everything) - np.searchsorted(everything, positives)
    hits = len(positives) - np.searchsorted(positives, positives)
    return float(np.mean(hits / reached))
