"""Fitting a bank on the training split.

"mixture"      means of a Gaussian mixture (published)
"kmeans"       centres of k-means
"class_means"  row c: mean of the snippets of the videos that contain class c; last row: of all videos
"""

import ml_collections
import numpy as np

from tsc_jax import processes
from tsc_jax.data.dataset import Split
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.bank.kmeans import lloyd, start_centres
from tsc_jax.methods.tscnet.bank.mixture import COVARIANCES, em, start_mixture
from tsc_jax.methods.tscnet.bank.passes import standardize
from tsc_jax.methods.tscnet.bank.snippets import Snippets, of_split
from tsc_jax.methods.tscnet.bank.update import UPDATE_RULES

SOURCES = ("mixture", "kmeans", "class_means")


def number_of_rows(settings: ml_collections.ConfigDict, classes: int) -> int:
    """K: as `config.bank` says, or one for each class and one for background."""
    return settings.rows or classes + 1


def fit_bank(settings, split, classes, seed):
    rows = number_of_rows(settings, classes)
    if settings.source == "class_means":
        means, facts = class_means(split, classes), {"snippets": total_snippets(split)}
    else:
        snippets = of_split(split, settings.snippets_per_video, seed)
        if rows > snippets.total:
            raise InputError(
                f"config.bank.rows is {rows}, but there are only {snippets.total} training snippets to fit"
            )
        means, objectives = fit_rows(settings, snippets, rows, seed)
        facts = {"snippets": snippets.total, "iterations": len(objectives), "log_likelihood": float(objectives[-1])}
    return np.asarray(means, np.float32), facts | {"source": settings.source, "seed": seed}


def fit_rows(
    settings: ml_collections.ConfigDict, snippets: Snippets, rows: int, seed: int
) -> tuple[np.ndarray, list[float]]:
    """The K means [K, D] of a mixture or of k-means, and the objective before each iteration."""
    snippets, offset, scale = standardize(snippets)
    if settings.source == "kmeans":
        start = start_centres(snippets, rows, seed, settings.max_iterations)
        means, objectives = lloyd(snippets, start, settings.max_iterations)
    else:
        start = start_mixture(snippets, rows, seed, settings.covariance, settings.max_iterations)
        mixture, objectives = em(snippets, start, settings.covariance, settings.max_iterations, settings.tolerance)
        means = mixture.means
    return means * scale + offset, objectives


def check_bank(settings: ml_collections.ConfigDict, classes: int) -> None:
    """Raises InputError where `config.bank` holds what cannot be."""
    for key, known in (("source", SOURCES), ("covariance", COVARIANCES), ("update_rule", UPDATE_RULES)):
        if settings[key] not in known:
            raise InputError(f"config.bank.{key} is {settings[key]!r}, expected one of {', '.join(known)}")
    for key, least in (("rows", 0), ("snippets_per_video", 1), ("max_iterations", 1)):
        if settings[key] < least:
            raise InputError(f"config.bank.{key} is {settings[key]}, expected {least} or more")
    rows, by_class = number_of_rows(settings, classes), [("source", "class_means"), ("update_rule", "ema")]
    for key, value in by_class:
        if settings[key] == value and rows != classes + 1:
            raise InputError(
                f"config.bank.{key} is {value!r}, which gives each class a row and background one, but"
                f" config.bank.rows is {rows}; expected {classes + 1}, or 0 for as many"
            )
    if not 0 <= settings.momentum <= 1:
        raise InputError(f"config.bank.momentum is {settings.momentum}, expected 0 to 1")


def total_snippets(split: Split) -> int:
    """Snippets of all its videos."""
    return sum(video.num_snippets for video in split.videos)


def class_means(split: Split, classes: int) -> np.ndarray:
    """[C + 1, D]; a class that no video contains gets the mean of all."""
    mine = processes.share(np.arange(len(split.videos)))
    sums, counts = np.zeros((classes + 1, split.features(0).shape[1])), np.zeros((classes + 1, 1))
    for index in mine:
        features = split.features(index)
        contained = np.append(split.videos[index].labels, True)
        sums[contained] += features.sum(axis=0, dtype=np.float64)
        counts[contained] += len(features)
    sums, counts = (processes.of_each(each).sum(axis=0) for each in (sums, counts))
    return np.where(counts > 0, sums, sums[-1]) / np.where(counts > 0, counts, counts[-1])
