"""Class scores of a whole video, and the classes that they admit."""

import numpy as np
import scipy.special


def top_mean(activations: np.ndarray, top: int) -> np.ndarray:
    """Mean over the `top` largest snippets of each class: [T, classes] -> [classes], 1 <= top <= T, same dtype."""
    largest = np.partition(activations.T, -top, axis=1)[:, -top:]
    return largest.mean(axis=1, dtype=np.float64).astype(activations.dtype)


def video_scores(activations: np.ndarray, top: int) -> np.ndarray:
    """Softmax over the `top_mean` of all C + 1 classes, then without background: [T, C + 1] -> [C], same dtype."""
    return scipy.special.softmax(top_mean(activations, top))[:-1]


def admitted_classes(scores: np.ndarray, threshold: float, *, at_least_one: bool) -> np.ndarray:
    """Classes whose score in `scores` [C] is `threshold` or more, or `at_least_one`: the best; int64, rising."""
    classes = np.flatnonzero(scores >= threshold)
    return scores.argmax(keepdims=True) if at_least_one and not len(classes) else classes
