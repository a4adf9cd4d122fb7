"""Gaussian mixtures by expectation and maximisation, over snippets that need not fit in memory.

The published bank is the means of scikit-learn's mixture with diagonal covariances; from the same start this one takes
the same steps.
"""

import dataclasses

import numpy as np

from tsc_jax.methods.tscnet.bank.kmeans import as_densities, start_centres
from tsc_jax.methods.tscnet.bank.passes import Moments, one_pass
from tsc_jax.methods.tscnet.bank.snippets import Snippets

COVARIANCES = ("diag", "full", "spherical")
FLOOR = 1e-6  # added to every variance; scikit-learn's default
EMPTY = 0.5  # snippets that a component must account for, or it is put elsewhere


@dataclasses.dataclass(frozen=True)
class Mixture:
    """K Gaussians, float64.

    Attributes:
      means: [K, D].
      covariances: [K, D], or [K, D, D] for "full".
      weights: [K].
    """

    means: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray


def start_mixture(snippets: Snippets, components: int, seed: int, covariance: str, max_iterations: int) -> Mixture:
    """The mixture of the clusters of k-means from k-means++."""
    centres = start_centres(snippets, components, seed, max_iterations)
    found = one_pass(snippets, *as_densities(centres), hard=True, second=second_moments(covariance))
    return maximise(centres, found, covariance)


def em(
    snippets: Snippets, mixture: Mixture, covariance: str, max_iterations: int, tolerance: float
) -> tuple[Mixture, list[float]]:
    """EM from a given mixture, until the mean log-likelihood of a snippet gains less than `tolerance`.

    A component that accounts for next to nothing is put where the fit is worst, one in an iteration.

    Args:
      snippets: standardized.
      mixture: of them.
      covariance: one of COVARIANCES.
      max_iterations: at most.
      tolerance: see above.

    Returns:
      The mixture, and the mean log-likelihood before each iteration.
    """
    objectives = []
    for _ in range(max_iterations):
        found = one_pass(snippets, *densities_of(mixture), hard=False, second=second_moments(covariance))
        objectives.append(found.objective)
        mixture = maximise(mixture.means, found, covariance)
        emptiest = int(np.argmin(found.counts))
        if found.counts[emptiest] < EMPTY:
            mixture = put_elsewhere(mixture, emptiest, found.worst)
        elif len(objectives) > 1 and abs(objectives[-1] - objectives[-2]) < tolerance:
            break
    return mixture, objectives


def second_moments(covariance: str) -> str:
    """Those that `maximise` needs; see `one_pass`."""
    return "products" if covariance == "full" else "squares"


def maximise(about: np.ndarray, found: Moments, covariance: str) -> Mixture:
    """M step, from moments about the means `about` [K, D]."""
    counts = found.counts + 1e-15
    shifts = found.sums / counts[:, None]
    means, weights = about + shifts, counts / counts.sum()
    if covariance == "full":
        covariances = found.second / counts[:, None, None] - shifts[:, :, None] * shifts[:, None, :]
        covariances = (covariances + covariances.swapaxes(1, 2)) / 2 + FLOOR * np.eye(len(means.T))
        return Mixture(means, np.stack([definite(each) for each in covariances]), weights)
    covariances = np.maximum(found.second / counts[:, None] - np.square(shifts), 0) + FLOOR
    if covariance == "spherical":
        covariances = np.broadcast_to(covariances.mean(axis=1, keepdims=True), means.shape)
    return Mixture(means, covariances, weights)


def definite(covariance: np.ndarray) -> np.ndarray:
    """A covariance [D, D] with no variance below FLOOR: what float32 rounds can be less where snippets are few."""
    try:
        np.linalg.cholesky(covariance)
        return covariance
    except np.linalg.LinAlgError:
        variances, directions = np.linalg.eigh(covariance)
        return (directions * np.maximum(variances, FLOOR)) @ directions.T


def densities_of(mixture: Mixture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, transforms and constants as `one_pass` takes them."""
    if mixture.covariances.ndim == 3:
        transforms = np.linalg.inv(np.linalg.cholesky(mixture.covariances))
        log_scales = np.log(np.diagonal(transforms, axis1=1, axis2=2)).sum(axis=1)
    else:
        transforms = 1 / np.sqrt(mixture.covariances)
        log_scales = np.log(transforms).sum(axis=1)
    width = mixture.means.shape[1]
    return mixture.means, transforms, np.log(mixture.weights) + log_scales - width / 2 * np.log(2 * np.pi)


def put_elsewhere(mixture: Mixture, component: int, snippet: np.ndarray) -> Mixture:
    """The mixture with one component moved onto a snippet, as wide as all components are on average."""
    means, covariances, weights = (np.array(each) for each in (mixture.means, mixture.covariances, mixture.weights))
    covariances[component] = np.tensordot(weights, covariances, axes=1)
    means[component], weights[component] = snippet, 1 / len(weights)
    return Mixture(means, covariances, weights / weights.sum())
