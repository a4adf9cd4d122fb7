"""The rule "ema" is its equations, on ragged batches, however they are dealt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods.tscnet.small import CLASSES, WIDTH, ragged_batch
from tsc_jax.methods.tscnet.bank.state import drift, new_bank
from tsc_jax.methods.tscnet.bank.update import by_mean, evidence


@pytest.fixture(scope="module")
def batch() -> dict:
    """Six videos; none contains class 1."""
    batch = ragged_batch(videos=6, length=9, seed=1)
    batch["labels"][:, 1] = False
    return batch | {"attention": np.random.default_rng(0).random((6, 9)).astype(np.float32)}


def bank():
    return new_bank(np.random.default_rng(1).normal(size=(CLASSES + 1, WIDTH)), "ema")


def shown(batch: dict):
    return evidence(*(jnp.asarray(batch[name]) for name in ("features", "attention", "labels", "mask")))


def equations(batch: dict) -> tuple[np.ndarray, np.ndarray]:
    """n [C + 1] and m [C + 1, D] of the module's docstring; m is 0 where n is."""
    n, sums = np.zeros(CLASSES + 1), np.zeros((CLASSES + 1, WIDTH))
    for video in range(len(batch["labels"])):
        for i in np.flatnonzero(batch["mask"][video]):
            a, z = float(batch["attention"][video, i]), batch["features"][video, i].astype(np.float64)
            for c in np.flatnonzero(batch["labels"][video]):
                n[c], sums[c] = n[c] + a, sums[c] + a * z
            n[-1], sums[-1] = n[-1] + 1 - a, sums[-1] + (1 - a) * z
    return n, sums / np.where(n > 0, n, 1)[:, None]


def test_rows_move_as_the_equations_say(batch):
    before, (n, m) = bank(), equations(batch)
    assert n[1] == 0 < n[0]
    after = by_mean(before, *shown(batch), momentum=0.7)
    expected = 0.7 * np.asarray(before.rows) + 0.3 * m
    np.testing.assert_allclose(np.delete(after.rows, 1, axis=0), np.delete(expected, 1, axis=0), rtol=1e-5, atol=1e-6)
    assert np.asarray(after.rows[1]).tobytes() == np.asarray(before.rows[1]).tobytes(), "nothing was shown of it"
    np.testing.assert_allclose(after.usage, n, rtol=1e-5)
    twice = by_mean(after, *shown(batch), momentum=0.7)
    np.testing.assert_allclose(twice.usage, 2 * n, rtol=1e-5)
    np.testing.assert_array_equal(twice.fitted, before.rows)
    lengths = np.linalg.norm(before.rows, axis=1)
    np.testing.assert_allclose(
        drift(twice.rows, twice.fitted), np.linalg.norm(twice.rows - before.rows, axis=1) / lengths, rtol=1e-5
    )


def test_momentum_1_leaves_the_bank_and_0_replaces_it(batch):
    before, (n, m) = bank(), equations(batch)
    still, replaced = (by_mean(before, *shown(batch), momentum) for momentum in (1.0, 0.0))
    assert np.asarray(still.rows).tobytes() == np.asarray(before.rows).tobytes()
    np.testing.assert_allclose(replaced.rows[n > 0], m[n > 0], rtol=1e-5)


def test_evidence_adds_up_over_any_dealing_and_does_not_see_padding(batch):
    whole = shown(batch)
    seen = {name: batch[name] for name in ("features", "attention", "labels", "mask")}
    dealt = [shown({name: leaf[part] for name, leaf in seen.items()}) for part in ([0, 3], [1, 2, 4, 5])]
    rubbish = np.where(batch["mask"][..., None], batch["features"], np.nan)
    for one, parts, dirty in zip(whole, zip(*dealt, strict=True), shown(batch | {"features": rubbish}), strict=True):
        np.testing.assert_allclose(sum(parts), one, rtol=1e-5)
        np.testing.assert_array_equal(dirty, one)


def test_no_gradient_flows_through_what_is_shown(batch):
    labels, mask = jnp.asarray(batch["labels"]), jnp.asarray(batch["mask"])

    def total(features, attention):
        sums, counts = evidence(features, attention, labels, mask)
        return jnp.sum(sums) + jnp.sum(counts)

    gradients = jax.grad(total, argnums=(0, 1))(jnp.asarray(batch["features"]), jnp.asarray(batch["attention"]))
    assert not any(np.asarray(each).any() for each in gradients)


@pytest.mark.parametrize("rule", ["gradient", "frozen"])
def test_a_new_bank_is_as_it_was_fitted(rule):
    """Under the rule "gradient" the rows are parameters, so they are not carried too."""
    fitted, made = bank().fitted, new_bank(bank().fitted, rule)
    np.testing.assert_array_equal(made.fitted, fitted)
    assert made.rows is None if rule == "gradient" else (np.asarray(made.rows) == np.asarray(fitted)).all()
    assert not np.asarray(made.usage).any()
    np.testing.assert_array_equal(drift(fitted, made.fitted), 0)
