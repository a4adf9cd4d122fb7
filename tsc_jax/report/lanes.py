"""Chooses which classes and predictions a picture of a video shows, in which colours and how opaque."""

from collections.abc import Sequence

import numpy as np

from tsc_jax.localization.segments import Segments

FAINTEST = 0.05  # predictions below this share of a video's best score are not drawn


def shown_classes(truth: Segments, predictions: Segments) -> list[int]:
    """Returns the classes of a video: the true ones, then those predicted, the highest score first."""
    by_score = predictions.label[np.argsort(-predictions.score, kind="stable")]
    return list(dict.fromkeys([*np.unique(truth.label).tolist(), *by_score.tolist()]))


def drawn_predictions(predictions: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the predictions that are drawn, by rising score, and the opacity of all predictions."""
    opacity = np.clip(predictions.score / predictions.score.max(initial=1e-12), 0, 1)
    order = np.argsort(predictions.score, kind="stable")
    return order[opacity[order] >= FAINTEST], opacity


def colour_classes(classes: int, shown: Sequence[Sequence[int]], colours: int) -> list[int]:
    """Gives each of C classes one of `colours` numbers, different from those shown with it if there are enough.

    Classes choose in turn, those shown in a video first. Each takes the colour that is least frequent in the videos
    that show the class; among equals the one given least often so far, then the first. `shown`: classes per video.
    """
    together = np.zeros((classes, classes), int)
    for labels in shown:
        together[np.ix_(labels, labels)] += 1
    chosen = np.full(classes, -1)
    for label in np.argsort(together.diagonal() == 0, kind="stable"):
        given = chosen == np.arange(colours)[:, None]  # [colours, C]
        chosen[label] = np.lexsort([given.sum(axis=1), given @ together[label]])[0]
    return chosen.tolist()
