"""Cosine scores are safe at 0, and the head of RSKP and MMSD equals plain loops over each video alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsc_jax.nn.cosine import Centres, cosine_head, cosine_scores, unit

LENGTHS = np.array([1, 6, 0, 9])


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def with_zeros(seed: int, *shape: int) -> np.ndarray:
    """Random rows, of which every third is 0."""
    x = numbers(seed, *shape)
    x.reshape(-1, shape[-1])[::3] = 0
    return x


def oracle(x: np.ndarray) -> np.ndarray:
    """Rows divided by their length in float64; 0 stays 0."""
    length = np.linalg.norm(x.astype(np.float64), axis=-1, keepdims=True)
    return x / np.where(length > 0, length, 1)


@pytest.mark.parametrize("shape", [(6, 4), (2, 5, 3), (4, 1)])
def test_unit_is_numpys_and_leaves_zero_alone(shape):
    x = with_zeros(0, *shape)
    np.testing.assert_allclose(unit(x), oracle(x), rtol=1e-6)
    zero = ~x.any(axis=-1)
    weights = numbers(1, *shape)
    gradient = np.asarray(jax.grad(lambda x: jnp.sum(unit(x) * weights))(jnp.asarray(x)))
    assert np.isfinite(gradient).all() and not gradient[zero].any()
    # Length does not matter, so the gradient is at a right angle to x.
    np.testing.assert_allclose((gradient * x).sum(axis=-1), 0, atol=1e-5)


def test_cosine_scores_are_scaled_cosines_whatever_the_lengths():
    x, centres = with_zeros(0, 2, 5, 4), with_zeros(1, 6, 4)
    scores = np.asarray(cosine_scores(x, centres, 5.0))
    np.testing.assert_allclose(scores, 5 * oracle(x) @ oracle(centres).T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cosine_scores(100 * x, centres / 8, 5.0), scores, rtol=1e-5, atol=1e-6)
    gradients = jax.grad(lambda *both: jnp.sum(cosine_scores(*both, 5.0) ** 2), (0, 1))(x, centres)
    assert all(np.isfinite(each).all() for each in gradients)


def test_the_foreground_starts_opposite_to_the_background_and_then_moves_alone():
    centres = Centres(3)
    start = centres.init(jax.random.key(0), 8)
    rows, foreground = centres.apply(start, 8)
    assert rows.shape == (4, 8) and np.abs(rows).max() <= (6 / 12) ** 0.5
    np.testing.assert_array_equal(foreground, -rows[-1])
    gradient = jax.grad(lambda variables: jnp.sum(centres.apply(variables, 8)[1]))(start)["params"]
    assert not gradient["classes"].any() and gradient["foreground"].all()


@pytest.mark.parametrize(("padding", "rubbish"), [(0, 0.0), (4, 1e3)])
def test_the_head_scores_each_video_as_alone(padding, rubbish):
    mask = np.arange(LENGTHS.max() + padding) < LENGTHS[:, None]
    x = np.full((*mask.shape, 4), rubbish, np.float32)
    x[mask] = with_zeros(0, LENGTHS.sum(), 4)
    centres, foreground, scale = numbers(1, 3, 4), numbers(2, 4), 5.0

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    scores = cosine_head(x, mask, centres, foreground, scale)
    for video, length in enumerate(LENGTHS):
        own = x[video, :length].astype(np.float64)
        cas, attention = scale * oracle(own) @ oracle(centres).T, sigmoid(scale * oracle(own) @ oracle(foreground))
        pooled = (attention[:, None] * own).sum(axis=0)
        pooled_by_class = [(sigmoid(column)[:, None] * own).sum(axis=0) for column in cas.T]
        specific = [scale * oracle(one) @ oracle(centre) for one, centre in zip(pooled_by_class, centres, strict=True)]
        expected = {"cas": cas, "attention": attention, "class_attention": sigmoid(cas)}
        for name, array in expected.items():
            np.testing.assert_allclose(getattr(scores, name)[video, :length], array, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(scores.agnostic[video], scale * oracle(pooled) @ oracle(centres).T, atol=1e-5)
        np.testing.assert_allclose(scores.specific[video], specific, atol=1e-5)


def test_gradients_of_the_head_are_finite_where_snippets_are_zero_or_a_row_is_empty():
    mask = np.arange(5) < np.array([3, 0])[:, None]

    def loss(x, centres, foreground):
        scores = cosine_head(x, mask, centres, foreground, 5.0)
        return jnp.sum(scores.agnostic**2) + jnp.sum(scores.specific**2) + jnp.sum(scores.cas**2)

    gradients = jax.grad(loss, (0, 1, 2))(jnp.zeros((2, 5, 4)), numbers(1, 3, 4), numbers(2, 4))
    assert all(np.isfinite(each).all() for each in gradients)
