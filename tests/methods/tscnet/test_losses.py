"""Losses against loops in NumPy, written from the method's equations, one video and one class at a time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import thumos14
from tsc_jax.methods.tscnet import losses
from tsc_jax.methods.tscnet.network import Branch, Outputs

LOSS = thumos14.get_config().loss


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def oracle_mil(cas, labels, background):
    k = max(1, len(cas) // LOSS.topk_ratio)
    pooled = np.sort(cas, axis=0)[::-1][:k].mean(axis=0)
    target = np.append(labels, background).astype(float)
    return -(target / (target.sum() + LOSS.label_smoothing) * np.log(softmax(pooled, 0))).sum()


def oracle_suppressed(cas, attention):
    low = cas.min(axis=1, keepdims=True)
    return attention[:, None] * (cas - low) + low


def oracle_pair(z1, z2, cas1, cas2, y1, y2):
    def parts(z, cas):
        a = softmax(cas, 0)
        return z.T @ a, z.T @ ((1 - a) / max(len(z) - 1, 1))

    def d(u, v):
        # A video of one snippet has no low activation at all: its vector is 0, at distance 1 from everything.
        return 1 - u @ v / max(np.linalg.norm(u) * np.linalg.norm(v), 1e-12)

    (h1, l1), (h2, l2) = parts(z1, cas1), parts(z2, cas2)
    value = 0.0
    for c in np.flatnonzero(y1 & y2):
        apart = d(h1[:, c], h2[:, c])
        value += 0.5 * max(apart - d(h1[:, c], l2[:, c]) + LOSS.margin, 0)
        value += 0.5 * max(apart - d(h2[:, c], l1[:, c]) + LOSS.margin, 0)
    return value, (y1 & y2).sum()


def made_up(seed, videos, length, classes, width=5):
    """Random outputs of both branches with rubbish in the padding, and the rest of a batch."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, length + 1, videos)

    def branch():
        # Rounded, so that ties occur.
        cas = rng.normal(size=(videos, length, classes + 1)).round(1)
        return Branch(rng.normal(size=(videos, length, width)), cas, rng.random((videos, length)))

    outputs = Outputs(rng.normal(size=(videos, length, width)), branch(), branch())
    labels = rng.random((videos, classes)) < 0.5
    mask = np.arange(length) < lengths[:, None]
    paired = rng.random(videos // 2) < 0.7
    return jax.tree.map(jnp.float32, outputs), labels, mask, paired


loss_terms = jax.jit(functools.partial(losses.loss_terms, settings=LOSS))


# Few shapes, since each is a compilation; lengths, labels and pairs vary within them.
@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([(1, 2, 1), (5, 30, 3)]))
def test_terms_equal_the_loops(seed, shape):
    videos, length, classes = shape
    outputs, labels, mask, paired = made_up(seed, videos, length, classes)
    terms = loss_terms(outputs, labels, mask, paired)
    lengths = mask.sum(axis=1)
    for name, branch in (("temporal", outputs.temporal), ("semantic", outputs.semantic)):
        z, cas, att = (
            [np.asarray(x[i, :n], float) for i, n in enumerate(lengths)]
            for x in (branch.features, branch.cas, branch.attention)
        )
        low = [oracle_suppressed(c, a) for c, a in zip(cas, att, strict=True)]
        pairs = [
            oracle_pair(z[2 * p], z[2 * p + 1], low[2 * p], low[2 * p + 1], labels[2 * p], labels[2 * p + 1])
            for p in np.flatnonzero(paired)
        ]
        expected = {
            "mil": sum(map(oracle_mil, cas, labels, [1] * videos)),
            "mil_suppressed": sum(map(oracle_mil, low, labels, [0] * videos)),
            "guide": sum(np.abs(1 - a - softmax(c, 1)[:, -1]).mean() for c, a in zip(cas, att, strict=True)),
            "contrastive": sum(value for value, _ in pairs),
        }
        for kind, value in expected.items():
            np.testing.assert_allclose(terms[f"{name}/{kind}"].sum, value, rtol=2e-5, atol=2e-5, err_msg=kind)
        assert terms[f"{name}/contrastive"].count == sum(count for _, count in pairs)
        assert terms[f"{name}/mil"].count == videos


def test_no_shared_label_gives_zero_and_finite_gradients():
    outputs, labels, mask, _ = made_up(0, 4, 9, 3)
    labels[:] = False
    labels[::2, 0] = labels[1::2, 1] = True

    @jax.jit
    def contrastive(outputs):
        term = losses.loss_terms(outputs, labels, mask, np.ones(2, bool), LOSS)["temporal/contrastive"]
        return term.sum / jnp.maximum(term.count, 1)

    value, gradient = jax.value_and_grad(contrastive)(outputs)
    assert value == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_zero_features_give_finite_gradients():
    outputs, labels, mask, paired = made_up(0, 4, 9, 3)
    outputs = jax.tree.map(jnp.zeros_like, outputs)

    def total(outputs):
        return sum(term.sum for term in loss_terms(outputs, labels | True, mask, paired | True).values())

    gradient = jax.jit(jax.grad(total))(outputs)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_vector_without_direction_pulls_at_nothing():
    # The low activation of a video of one snippet is the vector 0.
    u, zero = jnp.arange(1.0, 4.0), jnp.zeros(3)
    assert losses.cosine_distance(u, zero) == 1
    for gradient in jax.grad(losses.cosine_distance, argnums=(0, 1))(u, zero):
        np.testing.assert_array_equal(gradient, 0)


def test_the_weights_are_those_of_the_recipe():
    weights = {name: term.weight for name, term in loss_terms(*made_up(3, 4, 9, 3)).items()}
    assert {name: LOSS.weights[name.split("/")[1]] for name in weights} == weights
    assert sum(weights.values()) == 3.5 + 3.5 + 1


@pytest.mark.parametrize("joined", [False, True])  # whether rows without snippets stand where a pair may
def test_a_row_without_snippets_adds_nothing_and_gives_finite_gradients(joined):
    outputs, labels, mask, _ = made_up(0, 4, 9, 3)
    paired = np.ones(2, bool)

    def pad(array, value):
        return np.pad(array, [(0, 2)] + [(0, 0)] * (np.ndim(array) - 1), constant_values=value)

    longer = jax.tree.map(lambda leaf: pad(leaf, 1e3), outputs)
    batch = (pad(labels, False), pad(mask, False), np.append(paired, joined))
    expected, terms = loss_terms(outputs, labels, mask, paired), loss_terms(longer, *batch)
    for name, term in expected.items():
        np.testing.assert_allclose(terms[name].sum, term.sum, rtol=1e-6, err_msg=name)
        assert terms[name].count == term.count

    gradients = jax.jit(jax.grad(lambda outputs: sum(term.sum for term in loss_terms(outputs, *batch).values())))(
        longer
    )
    for leaf in jax.tree.leaves(gradients):
        assert np.isfinite(leaf).all() and not leaf[4:].any()
