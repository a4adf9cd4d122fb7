"""The mixture takes scikit-learn's steps, whatever the chunks and devices, and loses no component."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from tsc_jax.methods.tscnet.bank import mixture
from tsc_jax.methods.tscnet.bank.kmeans import lloyd, start_centres
from tsc_jax.methods.tscnet.bank.mixture import COVARIANCES, Mixture, em, maximise, start_mixture
from tsc_jax.methods.tscnet.bank.passes import Moments, one_pass, standardize
from tsc_jax.methods.tscnet.bank.snippets import Snippets, of_array, pad

COMPONENTS, WIDTH, SNIPPETS = 3, 6, 203


@functools.cache
def made_up(seed: int, chunk: int = 64) -> Snippets:
    """Standardized snippets like those of a network that ends in a ReLU: many features never leave 0 in a cluster."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(COMPONENTS, size=SNIPPETS)
    alive = rng.random((COMPONENTS, WIDTH)) < 0.6
    centres = 2 * rng.normal(size=(COMPONENTS, WIDTH))
    x = np.maximum(centres[clusters] + rng.normal(size=(SNIPPETS, WIDTH)), 0) * alive[clusters]
    return standardize(of_array(x.astype(np.float32), chunk))[0]


def spread_out(snippets: Snippets, covariance: str) -> Mixture:
    """A start on three snippets."""
    means = snippets.start[[0, 80, 160]].astype(np.float64)
    one = np.eye(WIDTH) if covariance == "full" else np.ones(WIDTH)
    return Mixture(means, np.stack([one] * COMPONENTS), np.array([0.5, 0.3, 0.2]))


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_em_takes_the_steps_of_scikit_learn(covariance):
    snippets = made_up(0)
    start = spread_out(snippets, covariance)
    found, objectives = em(snippets, start, covariance, max_iterations=9, tolerance=-1)
    precisions = np.ones(COMPONENTS) if covariance == "spherical" else start.covariances
    theirs = GaussianMixture(
        COMPONENTS, covariance_type=covariance, tol=0, max_iter=9, reg_covar=mixture.FLOOR,
        means_init=start.means, weights_init=start.weights, precisions_init=precisions,
    ).fit(snippets.start.astype(np.float64))  # fmt: skip
    np.testing.assert_allclose(objectives, theirs.lower_bounds_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.weights, theirs.weights_, atol=1e-5)
    np.testing.assert_allclose(found.means, theirs.means_, atol=1e-4)
    covariances = theirs.covariances_[:, None] if covariance == "spherical" else theirs.covariances_
    np.testing.assert_allclose(found.covariances, np.broadcast_to(covariances, found.covariances.shape), atol=1e-4)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from(COVARIANCES))
def test_the_likelihood_never_falls_but_where_a_component_was_moved(seed, covariance):
    snippets, moved = made_up(seed), []
    with pytest.MonkeyPatch.context() as patch:
        move = mixture.put_elsewhere
        patch.setattr(mixture, "put_elsewhere", lambda *of: moved.append(len(objectives)) or move(*of))
        state, objectives = start_mixture(snippets, COMPONENTS, seed, covariance, 2), []
        for _ in range(12):
            state, (objective,) = em(snippets, state, covariance, max_iterations=1, tolerance=0)
            objectives.append(objective)
    falls = [i for i, gain in enumerate(np.diff(objectives)) if gain < -1e-4]
    assert set(falls) <= set(moved)
    assert objectives[-1] > objectives[0]


def test_a_component_that_accounts_for_nothing_is_put_where_the_fit_is_worst():
    rng = np.random.default_rng(0)
    centres = np.array([[5.0, 0], [-5, 0], [0, 5]])
    snippets = of_array((centres[np.arange(SNIPPETS) % 3] + rng.normal(size=(SNIPPETS, 2)) / 2).astype(np.float32), 64)
    lost = Mixture(np.array([[1.0, 0], [-1, 0], [99, 99]]), np.ones((3, 2)), np.full(3, 1 / 3))
    found, _ = em(snippets, lost, "diag", max_iterations=60, tolerance=1e-4)
    order = np.argsort(found.means @ [1, 0.1])
    np.testing.assert_allclose(found.means[order], centres[[1, 2, 0]], atol=0.3)
    np.testing.assert_allclose(found.weights, np.full(3, 1 / 3), atol=0.02)


def test_a_component_may_be_a_single_snippet(monkeypatch):
    monkeypatch.setattr(mixture, "put_elsewhere", None)
    x = np.random.default_rng(0).normal(size=(SNIPPETS, 2)).astype(np.float32)
    x[7] = 40
    start = Mixture(np.array([[0.0, 0], [40, 40]]), np.ones((2, 2)), np.full(2, 1 / 2))
    found, objectives = em(of_array(x, 64), start, "diag", max_iterations=9, tolerance=1e-3)
    np.testing.assert_allclose(found.means[1], [40, 40], atol=1e-3)
    assert len(objectives) < 9


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_chunks_and_devices_change_nothing_but_rounding(covariance, monkeypatch):
    fits = []
    for chunk, devices in ((64, 8), (SNIPPETS, 8), (64, 2), (64, 1)):
        local = jax.devices()[:devices]
        monkeypatch.setattr(jax, "local_devices", lambda local=local: local)
        fits.append(em(made_up(1, chunk), spread_out(made_up(1), covariance), covariance, 6, -1))
    for found, objectives in fits[1:]:
        np.testing.assert_allclose(objectives, fits[0][1], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.means, fits[0][0].means, atol=1e-4)


def test_kmeans_takes_the_steps_of_scikit_learn():
    snippets = made_up(2)
    centres = snippets.start[[3, 5, 8]]
    found, objectives = lloyd(snippets, centres, max_iterations=50)
    theirs = KMeans(COMPONENTS, init=centres, n_init=1, algorithm="lloyd", tol=0).fit(snippets.start)
    np.testing.assert_allclose(found, theirs.cluster_centers_, atol=1e-5)
    np.testing.assert_allclose(-objectives[-1] * SNIPPETS, theirs.inertia_, rtol=1e-5)
    assert (np.diff(objectives) > -1e-6).all()


def test_a_centre_without_snippets_is_put_where_the_fit_is_worst():
    x = np.array([[0.0], [1], [10], [11]], np.float32)
    found, objectives = lloyd(of_array(x, 4), np.array([[0.0], [99]]), max_iterations=9)
    np.testing.assert_allclose(np.sort(found[:, 0]), [0.5, 10.5])
    assert objectives[-1] == -0.25


def test_kmeans_starts_apart():
    """k-means++ leaves no cluster out that is far from the others."""
    centres = np.array([[0.0, 0], [50, 0], [0, 50]])
    for seed in range(5):
        x = centres[np.arange(SNIPPETS) % 3] + np.random.default_rng(seed).normal(size=(SNIPPETS, 2))
        found = start_centres(of_array(x.astype(np.float32), 64), 3, seed, 20)
        np.testing.assert_allclose(found[np.argsort(found @ [1, 2])], centres, atol=0.5)


def test_what_float32_leaves_of_few_snippets_is_a_covariance_all_the_same():
    """Products of 4 snippets in 6 dimensions have rank 3, and what rounding adds to them may be below 0."""
    rng = np.random.default_rng(0)
    deviations = 1e3 * rng.normal(size=(4, WIDTH))
    products = (deviations.T @ deviations).astype(np.float32).astype(np.float64)
    assert np.linalg.eigvalsh(products)[0] < -1e-3
    found = Moments(np.array([4.0]), np.zeros((1, WIDTH)), products[None], 0.0, np.zeros(WIDTH))
    covariances = maximise(np.zeros((1, WIDTH)), found, "full").covariances
    assert (np.linalg.eigvalsh(covariances[0]) > 0).all()
    np.testing.assert_allclose(covariances[0], products / 4, atol=1)


def test_places_without_a_snippet_count_for_nothing():
    x, nothing = np.full((5, 2), 3, np.float32), np.zeros((0, 2), np.float32)
    snippets = Snippets(5, x, lambda: iter([pad(x, 16), pad(nothing, 16)]))
    found = one_pass(snippets, np.full((1, 2), 3.0), np.ones((1, 2)), np.zeros(1), hard=False, second="squares")
    assert found.counts.tolist() == [5] and not found.sums.any() and not found.second.any() and found.objective == 0
    assert found.worst.tolist() == [3, 3]
