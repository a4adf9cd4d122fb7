"""Pseudo labels are constants, and each loss reaches its own half of the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import recipe
from tsc_jax.methods.grn.losses import affinity_loss, classification_loss, pseudo_labels

LENGTHS = np.array([6, 4, 5])
MASK = np.arange(6) < LENGTHS[:, None]
LABELS = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0]], bool)
SCORES = np.where(MASK[..., None], np.random.default_rng(3).random((3, 6, 3)), 0).astype(np.float32)


def settings(**changes):
    config = recipe("grn", "thumos14").loss
    config.update(changes)
    return config


@pytest.mark.parametrize("low", ["argmax", "background"])
@pytest.mark.parametrize("scale", ["absolute", "range"])
def test_pseudo_labels_and_their_loss_equal_numpy(low, scale):
    options = settings(low=low, tau_scale=scale, tau_high=0.6, tau_low=0.3)
    pseudo = pseudo_labels(jnp.asarray(SCORES), LABELS, MASK, options)
    affinity = np.random.default_rng(1).random((3, 6, 6)).astype(np.float32)
    loss = affinity_loss(jnp.asarray(affinity), pseudo, MASK)
    for video, length in enumerate(LENGTHS):
        scores = SCORES[video, :length].astype(np.float64)
        shares = (scores - scores.min(axis=0)) / np.ptp(scores, axis=0) if scale == "range" else scores
        best = shares[:, LABELS[video]].max(axis=1, initial=-np.inf)
        active = (best > 0.6) | (best < 0.3) if LABELS[video].any() else np.zeros(length, bool)
        label = np.where((best < 0.3) & (low == "background"), 3, scores.argmax(axis=1))
        np.testing.assert_array_equal(pseudo.active[video], np.append(active, np.zeros(6 - length, bool)))
        errors = np.square(affinity[video, :length, :length] - (label[:, None] == label))[active][:, active]
        expected = errors.sum() / max(active.sum(), 1) / length
        np.testing.assert_allclose(loss[video], expected, rtol=1e-5)


def test_no_gradient_goes_through_pseudo_labels():
    def value(scores):
        return jnp.sum(affinity_loss(jnp.ones((3, 6, 6)) / 2, pseudo_labels(scores, LABELS, MASK, settings()), MASK))

    assert not np.asarray(jax.grad(value)(jnp.asarray(SCORES))).any()


def test_the_classification_loss_is_finite_where_scores_are_0_or_1():
    video = jnp.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]])
    labels = np.array([[1, 0, 1], [1, 0, 1]], bool)
    loss, gradient = jax.value_and_grad(lambda video: classification_loss(video, labels, 1e-7).sum())(video)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    np.testing.assert_allclose(classification_loss(video, labels, 1e-7)[1], -np.log(0.5), rtol=1e-5)
