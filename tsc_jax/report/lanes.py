"""Chooses which classes a picture of a video shows, and in which colours."""

from collections.abc import Sequence

import numpy as np

from tsc_jax.localization.segments import Segments


def shown_classes(truth: Segments, predictions: Segments) -> list[int]:
    """Returns the classes of a video: the true ones, then those predicted, the highest score first."""
    by_score = predictions.label[np.argsort(-predictions.score, kind="stable")]
    return list(dict.fromkeys([*np.unique(truth.label).tolist(), *by_score.tolist()]))


def colour_classes(classes: int, shown: Sequence[Sequence[int]], colours: int) -> list[int]:
    """Gives each class a colour, different from those of the classes shown with it if there are enough colours.

    Classes choose in turn, those shown in a video first. Each takes the colour that is least frequent in the videos
    that show the class; among equals the one given least often so far, then the first.

    Args:
      classes: the number of classes C.
      shown: the classes shown in each video.
      colours: the number of colours.

    Returns:
      C numbers in [0, colours).
    """
    together = np.zeros((classes, classes), int)
    for labels in shown:
        together[np.ix_(labels, labels)] += 1
    chosen = np.full(classes, -1)
    for label in sorted(range(classes), key=lambda label: together[label, label] == 0):
        beside = [together[label, chosen == colour].sum() for colour in range(colours)]
        given = [(chosen == colour).sum() for colour in range(colours)]
        chosen[label] = min(range(colours), key=lambda colour: (beside[colour], given[colour]))
    return chosen.tolist()
