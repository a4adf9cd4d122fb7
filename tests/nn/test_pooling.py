"""Pooling over time equals plain loops over each video alone, whatever the padding holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsc_jax.nn.pooling import mean_of_largest, mean_over_time, weighted_sum

LENGTHS = np.array([1, 7, 4, 0, 12])


def padded_batch(padding: int, rubbish: float, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """[B, T, width] of videos of LENGTHS snippets, with `rubbish` after them, and the mask."""
    mask = np.arange(LENGTHS.max() + padding) < LENGTHS[:, None]
    values = np.full((*mask.shape, width), rubbish, np.float32)
    values[mask] = np.random.default_rng(0).normal(size=(LENGTHS.sum(), width))
    return values, mask


@pytest.mark.parametrize(("padding", "rubbish"), [(0, 0.0), (5, 1e3), (5, np.nan)])
def test_mean_over_time(padding, rubbish):
    x, mask = padded_batch(padding, rubbish, 1)
    expected = [values[:length, 0].mean() if length else 0 for values, length in zip(x, LENGTHS, strict=True)]
    np.testing.assert_allclose(mean_over_time(x[..., 0], mask), expected, rtol=1e-5)


@pytest.mark.parametrize("ratio", [1, 3, 8, 100])
@pytest.mark.parametrize(("padding", "rubbish"), [(0, 0.0), (5, 1e3), (5, np.nan)])
def test_each_video_has_its_own_number_of_largest_values(ratio, padding, rubbish):
    x, mask = padded_batch(padding, rubbish)
    expected = [
        np.sort(values[:length], axis=0)[-max(1, length // ratio) :].mean(axis=0) if length else np.zeros(3)
        for values, length in zip(x, LENGTHS, strict=True)
    ]
    np.testing.assert_allclose(mean_of_largest(x, mask, ratio), expected, rtol=1e-5)


def test_only_the_largest_values_get_a_gradient():
    x, mask = padded_batch(2, 1e3)
    gradient = np.asarray(jax.grad(lambda x: jnp.sum(mean_of_largest(x, mask, 3)))(jnp.asarray(x)))
    for own, length in zip(gradient, LENGTHS, strict=True):
        number = min(length, max(1, length // 3))
        assert (np.count_nonzero(own, axis=0) == number).all() and not own[length:].any()
        np.testing.assert_allclose(own.sum(axis=0), float(length > 0), rtol=1e-6)


@pytest.mark.parametrize(("padding", "rubbish"), [(0, 0.0), (5, 1e3), (5, np.nan)])
def test_weighted_sum(padding, rubbish):
    x, mask = padded_batch(padding, rubbish)
    weights = np.where(mask[..., None], np.sin(np.arange(mask.size * 2)).reshape(*mask.shape, 2), rubbish)
    weights = weights.astype(np.float32)
    expected = [
        weights[video, :length].T.astype(float) @ x[video, :length].astype(float)
        for video, length in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(weighted_sum(weights, x, mask), expected, rtol=1e-5, atol=1e-6)
    gradients = jax.grad(lambda *both: jnp.sum(weighted_sum(*both, mask)), (0, 1))(jnp.asarray(weights), jnp.asarray(x))
    assert all(np.isfinite(each).all() and not np.asarray(each)[~mask].any() for each in gradients)
