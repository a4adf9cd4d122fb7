"""How strongly a video shows each class, from activations over time."""

import numpy as np


def video_scores(activations: np.ndarray, top: int) -> np.ndarray:
    """Softmax over all C + 1 classes of each class's mean over its `top` largest snippets.

    Args:
      activations: [T, C + 1], of one video without padding.
      top: number of snippets to average, 1 to T.

    Returns:
      [C], of the dtype of the activations: the scores of the action classes, background dropped.
    """
    largest = np.partition(activations.T, -top, axis=1)[:, -top:]
    pooled = largest.mean(axis=1, dtype=np.float64).astype(activations.dtype)
    exponentials = np.exp(pooled - pooled.max())
    return (exponentials / exponentials.sum())[:-1]
