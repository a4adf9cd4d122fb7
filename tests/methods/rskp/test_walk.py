"""EM and the random walk against a few lines of NumPy, alone and padded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsc_jax.methods.rskp.walk import expectation_maximization, walk

SCALE, WEIGHT = 5.0, 0.5


def unit(v):
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def softmax(x):
    exponentials = np.exp(x - x.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def em_oracle(mu, x, rounds):
    for _ in range(rounds):
        z = softmax(SCALE * unit(mu) @ unit(x).T)
        mu = z / (z.sum(axis=1, keepdims=True) + 1e-9) @ x
    return mu


def walk_oracle(x, q):
    """The published form, which inverts a T x T matrix."""
    z = softmax(SCALE * unit(q) @ unit(x).T)
    n = z / (z.sum(axis=1, keepdims=True) + 1e-9)
    return (1 - WEIGHT) * np.linalg.inv(np.eye(len(x)) - WEIGHT**2 * z.T @ n) @ (x + WEIGHT * z.T @ q)


def made_up(lengths, width=6, prototypes=4):
    rng = np.random.default_rng(0)
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    x = np.where(mask[..., None], rng.normal(size=(*mask.shape, width)), 0).astype(np.float32)
    return x, mask, rng.normal(size=(len(lengths), prototypes, width)).astype(np.float32)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_em_of_a_padded_batch_is_that_of_each_video(rounds):
    x, mask, start = made_up([7, 1, 12])
    x[0, 2] = 0  # ReLU may leave nothing of a snippet
    prototypes, assignments = expectation_maximization(start[0], x, mask, SCALE, rounds)
    assert len(assignments) == rounds
    for video in range(3):
        expected = em_oracle(start[0], x[video, mask[video]], rounds)
        np.testing.assert_allclose(prototypes[video], expected, atol=1e-5)
        assert not np.asarray(assignments[-1])[video][:, ~mask[video]].any()


def test_the_walk_is_the_published_one_whatever_is_padded():
    x, mask, q = made_up([7, 1, 12])
    valid = np.array([[1, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 0]], bool)
    q = np.where(valid[..., None], q, 1e3).astype(np.float32)
    walked = walk(x, mask, q, valid, SCALE, WEIGHT)
    for video in range(3):
        expected = walk_oracle(x[video, mask[video]], q[video, valid[video]])
        np.testing.assert_allclose(walked[video][mask[video]], expected, atol=1e-5)


def test_the_walk_is_the_limit_of_its_steps():
    x, mask, q = made_up([9])
    z = softmax(SCALE * unit(q[0]) @ unit(x[0]).T)
    n, snippets, prototypes = z / z.sum(axis=1, keepdims=True), x[0], q[0]
    for _ in range(60):
        snippets, prototypes = (
            WEIGHT * z.T @ prototypes + (1 - WEIGHT) * x[0],
            WEIGHT * n @ snippets + (1 - WEIGHT) * q[0],
        )
    np.testing.assert_allclose(walk(x, mask, q, np.ones((1, 4), bool), SCALE, WEIGHT)[0], snippets, atol=1e-5)


def test_without_prototypes_only_the_share_of_the_snippets_is_left():
    x, mask, q = made_up([5])
    walked = walk(x, mask, q, np.zeros((1, 4), bool), SCALE, WEIGHT)
    np.testing.assert_allclose(walked, (1 - WEIGHT) * x, atol=1e-6)


def test_gradients_are_finite_at_zero_rows_empty_videos_and_absent_prototypes():
    x, mask, q = made_up([4, 0, 3])
    x[0, 1], q[0, 2], valid = 0, 0, np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)

    def total(x, q):
        prototypes, _ = expectation_maximization(q[0], x, mask, SCALE, 2)
        walked = jnp.sin(walk(x, mask, q, valid, SCALE, WEIGHT)).sum()
        return walked + walk(x, mask, prototypes, jnp.ones((3, 4), bool), SCALE, WEIGHT).sum()

    for gradient in jax.jit(jax.grad(total, (0, 1)))(x, q):
        assert np.isfinite(gradient).all()
