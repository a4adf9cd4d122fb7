"""Fits the rows of the bank to the training videos, before the first step.

"mixture"      means of a Gaussian mixture (published)
"kmeans"       centres of k-means
"class_means"  row c: mean of the snippets of all videos that contain class c; last row: mean of all snippets
"""

import warnings
from typing import Any

import ml_collections
import numpy as np
from threadpoolctl import threadpool_limits

from tsc_jax import processes
from tsc_jax import settings as rules
from tsc_jax.data.dataset import Split
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.bank.update import UPDATE_RULES

SOURCES = ("mixture", "kmeans", "class_means")
COVARIANCES = ("diag", "full", "spherical")
LIMIT = 100_000  # snippets to fit on, at most


def number_of_rows(settings: ml_collections.ConfigDict, classes: int) -> int:
    """K: `config.bank.rows`, or if that is 0 one row per class and one for background."""
    return settings.rows or classes + 1


def fit_bank(
    settings: ml_collections.ConfigDict, split: Split, classes: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fits the bank on process 0, which alone reads the snippets, and tells the other processes the result.

    The bytes of the rows depend on the seed, but not on the number of threads or processes.

    Returns:
      The rows, float32 [K, D], and facts about the fit (plain JSON): source, seed, number of snippets and iterations,
      whether it converged before `max_iterations`, and log_likelihood, the mean over the snippets before the last
      iteration, of standardized features (k-means: minus the mean squared distance to the nearest centre).

    Raises:
      InputError: there are fewer snippets than rows.
    """
    shape = number_of_rows(settings, classes), split.features(0).shape[1]
    snippets = np.prod(numbers(len(split.videos), settings.snippets_per_video))
    if settings.source != "class_means" and shape[0] > snippets:
        raise InputError(f"config.bank.rows is {shape[0]}, but there are only {snippets} training snippets to fit")
    rows, facts = np.zeros(shape), {}
    if processes.is_first():
        rows, facts = fit_rows(settings, split, shape[0], seed)
        facts = {"source": settings.source, "seed": seed, **facts}
    return processes.of_first(rows.astype(np.float32), facts)


def fit_rows(
    settings: ml_collections.ConfigDict, split: Split, count: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns `count` rows, float64 [K, D], and the facts except `source` and `seed`."""
    from sklearn.exceptions import ConvergenceWarning

    if settings.source == "class_means":
        snippets = sum(video.num_snippets for video in split.videos)
        facts = {"snippets": snippets, "iterations": 0, "log_likelihood": 0.0, "converged": True}
        return class_means(split, count - 1), facts
    x = of_split(split, settings.snippets_per_video, seed).astype(np.float64)
    offset = x.mean(axis=0)
    x -= offset
    scale = max(x.std(), 1e-12)  # one for all features: their relative spread stays as it is
    x /= scale
    fit = kmeans if settings.source == "kmeans" else mixture
    # With several threads the order of sums, and so the last bits of the rows, would depend on their number.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows, facts = fit(settings, x, count, seed)
    return rows * scale + offset, {"snippets": len(x), **facts}


def mixture(settings: ml_collections.ConfigDict, x: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, dict]:
    """The means of a Gaussian mixture of standardized snippets [S, D], started from k-means, and facts."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        count,
        covariance_type=settings.covariance,
        max_iter=settings.max_iterations,
        tol=settings.tolerance,
        random_state=seed,
    ).fit(x)
    facts = {"iterations": model.n_iter_, "log_likelihood": model.lower_bound_, "converged": model.converged_}
    return model.means_, facts


def kmeans(settings: ml_collections.ConfigDict, x: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, dict]:
    """The centres of k-means of standardized snippets [S, D], started by k-means++, and facts."""
    from sklearn.cluster import KMeans

    model = KMeans(count, n_init=1, max_iter=settings.max_iterations, random_state=seed).fit(x)
    converged = model.n_iter_ < settings.max_iterations
    facts = {"iterations": model.n_iter_, "log_likelihood": -model.inertia_ / len(x), "converged": converged}
    return model.cluster_centers_, facts


def class_means(split: Split, classes: int) -> np.ndarray:
    """[C + 1, D]; a class that no video contains gets the mean of all snippets."""
    sums, counts = np.zeros((classes + 1, split.features(0).shape[1])), np.zeros((classes + 1, 1))
    for index, video in enumerate(split.videos):
        features = split.features(index)
        contained = np.append(video.labels, True)
        sums[contained] += features.sum(axis=0, dtype=np.float64)
        counts[contained] += len(features)
    return np.where(counts > 0, sums, sums[-1]) / np.where(counts > 0, counts, counts[-1])


RULES = {
    "rows": rules.COUNT_OR_0,
    "source": rules.one_of(*SOURCES),
    "covariance": rules.one_of(*COVARIANCES),
    "update_rule": rules.one_of(*UPDATE_RULES),
    "momentum": rules.SHARE,
    "snippets_per_video": rules.COUNT,
    "max_iterations": rules.COUNT,
    "tolerance": rules.NOT_NEGATIVE,
}


def check_bank(settings: ml_collections.ConfigDict, classes: int) -> None:
    """Raises InputError if a value of `config.bank` is invalid."""
    rules.check("bank", settings, RULES)
    rows = number_of_rows(settings, classes)
    for key, value in (("source", "class_means"), ("update_rule", "ema")):
        if settings[key] == value and rows != classes + 1:
            raise InputError(
                f"config.bank.{key} is {value!r}, which needs one row per class and one for background, but"
                f" config.bank.rows is {rows}; expected {classes + 1} or 0"
            )


def numbers(videos: int, per_video: int) -> tuple[int, int]:
    """How many videos are drawn from, and how many snippets of each.

    All videos and `per_video` snippets of each, if LIMIT allows. Otherwise fewer snippets per video, the same number of
    each, and with more than LIMIT videos one snippet from each of LIMIT videos, evenly spaced.
    """
    videos = min(videos, LIMIT)
    return videos, min(per_video, LIMIT // videos)


def of_split(split: Split, per_video: int, seed: int) -> np.ndarray:
    """Draws snippets of the videos of a split by `seed`, as many as `numbers` says: float32 [S, D]."""
    videos, per_video = numbers(len(split.videos), per_video)
    indices = np.arange(videos) * len(split.videos) // videos
    drawn = (draw_snippets(split.features(i), per_video, np.random.default_rng([seed, i])) for i in indices)
    return np.concatenate(list(drawn), dtype=np.float32)


def draw_snippets(features: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `number` snippets of one video [T, D]: one from each of as many equal spans, interpolated if T is less."""
    length = len(features)
    if length < number:
        places = np.linspace(0, length - 1, number)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (places - below)[:, None].astype(np.float32)
        return (1 - share) * features[below] + share * features[above]
    edges = np.arange(number + 1) * length // number
    return features[rng.integers(edges[:-1], edges[1:])]
