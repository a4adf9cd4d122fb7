"""Which classes a picture of a video shows, and in which colours."""

from collections.abc import Sequence

import numpy as np

from tsc_jax.localization.segments import Segments


def shown_classes(truth: Segments, predictions: Segments) -> list[int]:
    """The classes that matter in a video: the true ones, then those predicted, the best first."""
    by_score = predictions.label[np.argsort(-predictions.score, kind="stable")]
    return list(dict.fromkeys([*np.unique(truth.label).tolist(), *by_score.tolist()]))


def colour_classes(classes: int, shown: Sequence[Sequence[int]], colours: int) -> list[int]:
    """One of few colours for each class, so that classes shown together differ wherever that can be.

    Classes take their colours in turn, those shown first: each the one that is met least in the videos that show
    the class, of equals the one given least often so far, of these the first.

    Args:
      classes: their number C.
      shown: the classes shown in each video.
      colours: how many there are.

    Returns:
      C numbers in [0, colours).
    """
    together = np.zeros((classes, classes), int)
    for labels in shown:
        together[np.ix_(labels, labels)] += 1
    chosen = np.full(classes, -1)
    for label in sorted(range(classes), key=lambda label: together[label, label] == 0):
        met = [together[label, chosen == colour].sum() for colour in range(colours)]
        given = [(chosen == colour).sum() for colour in range(colours)]
        chosen[label] = min(range(colours), key=lambda colour: (met[colour], given[colour]))
    return chosen.tolist()
