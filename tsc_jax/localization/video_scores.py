"""Class scores of a whole video, and the classes that they admit."""

import numpy as np
import scipy.special


def top_mean(activations: np.ndarray, top: int) -> np.ndarray:
    """Mean over the `top` largest snippets of each class: [T, classes] -> [classes], 1 <= top <= T, same dtype."""
    largest = np.partition(activations.T, -top, axis=1)[:, -top:]
    return largest.mean(axis=1, dtype=np.float64).astype(activations.dtype)


def video_scores(activations: np.ndarray, top: int) -> np.ndarray:
    """Softmax over all C + 1 classes of each class's mean over its `top` largest snippets.

    Args:
      activations: [T, C + 1], of one video without padding; the last column is background.
      top: number of snippets to average, 1 to T.

    Returns:
      [C], of the dtype of the activations: the scores of the action classes, without background.
    """
    return scipy.special.softmax(top_mean(activations, top))[:-1]


def admitted_classes(scores: np.ndarray, threshold: float, *, at_least_one: bool) -> np.ndarray:
    """Classes with a video score of `threshold` or more: int64, rising.

    Args:
      scores: [C].
      threshold: lowest score that is admitted.
      at_least_one: whether the best class is admitted if no class reaches the threshold.
    """
    classes = np.flatnonzero(scores >= threshold)
    return scores.argmax(keepdims=True) if at_least_one and not len(classes) else classes
