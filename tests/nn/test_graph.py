"""Affinities and refined scores against NumPy, and what the solve guarantees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsc_jax.nn.graph import affinities, refine, squared_distances

LENGTHS = np.array([1, 2, 9, 6])
MASK = np.arange(9) < LENGTHS[:, None]


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


FEATURES, MAPS = numbers(0, 4, 9, 5), numbers(1, 4, 9, 3)


def oracle(features: np.ndarray, maps: np.ndarray, strength: float, laplacian: str) -> np.ndarray:
    """The refinement of one video in float64, with the median bandwidth."""
    distances = np.square(features[:, None].astype(np.float64) - features).sum(axis=-1)
    pairs = distances[np.triu_indices(len(features), 1)]
    scale = np.median(pairs) if len(pairs) and np.median(pairs) > 0 else 1.0
    affinity = np.exp(-distances / scale)
    matrix = np.diag(affinity.sum(axis=1)) - affinity
    factor = strength / len(features) if laplacian == "mean" else strength
    return np.linalg.solve(np.eye(len(features)) + factor * matrix, maps)


@pytest.mark.parametrize("laplacian", ["mean", "sum"])
@pytest.mark.parametrize("strength", [0.0, 1.0, 50.0])
def test_a_padded_batch_equals_numpy_on_each_video(strength, laplacian):
    rubbish = np.where(MASK[..., None], FEATURES, np.nan), np.where(MASK[..., None], MAPS, np.nan)
    affinity = affinities(jnp.asarray(rubbish[0]), MASK, "median")
    refined = np.asarray(refine(affinity, jnp.asarray(rubbish[1]), MASK, strength, laplacian))
    assert not refined[~MASK].any()
    for video, length in enumerate(LENGTHS):
        expected = oracle(FEATURES[video, :length], MAPS[video, :length], strength, laplacian)
        np.testing.assert_allclose(refined[video, :length], expected, atol=2e-5)


def test_columns_keep_their_mean_and_their_range():
    refined = np.asarray(refine(affinities(jnp.asarray(FEATURES), MASK, "width"), MAPS, MASK, 5.0, "mean"))
    for video, length in enumerate(LENGTHS):
        before, after = MAPS[video, :length], refined[video, :length]
        np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=1e-5)
        assert (after >= before.min(axis=0) - 1e-5).all() and (after <= before.max(axis=0) + 1e-5).all()


def test_the_mean_of_a_refined_map_sends_no_gradient_to_the_features():
    def mean(features, pooled):
        return jnp.sum(pooled(refine(affinities(features, MASK, "width"), MAPS, MASK, 3.0, "mean")))

    gradients = [jax.grad(mean)(jnp.asarray(FEATURES), pooled) for pooled in (jnp.positive, jnp.square)]
    none, some = (np.abs(gradient).max() for gradient in gradients)
    assert none < 1e-5 and some > 1e-2


def test_the_gradient_is_the_published_one_and_finite_for_equal_snippets_and_empty_videos():
    features, mask = FEATURES.copy(), MASK.copy()
    features[2, :4], mask[3] = features[2, 0], False
    upstream = numbers(2, *MAPS.shape)

    def value(maps, features):
        return jnp.sum(refine(affinities(features, mask, "median"), maps, mask, 1.0, "mean") * upstream)

    of_maps, of_features = jax.grad(value, (0, 1))(jnp.asarray(MAPS), jnp.asarray(features))
    assert np.isfinite(of_features).all() and not np.asarray(of_features)[~mask].any()
    for video in range(3):
        length = LENGTHS[video]
        expected = oracle(features[video, :length], upstream[video, :length], 1.0, "mean")
        np.testing.assert_allclose(of_maps[video, :length], expected, atol=2e-5)


def test_distances_far_from_the_origin_lose_nothing():
    far = squared_distances(jnp.asarray(FEATURES + 100), MASK)
    np.testing.assert_allclose(far[2], squared_distances(jnp.asarray(FEATURES), MASK)[2], atol=2e-3)
    assert not np.asarray(jnp.diagonal(far, axis1=1, axis2=2)).any()
