"""The losses against their formulas in NumPy, where gradients stop, and what padding and rows without videos count."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods.mmsd.small import (
    AFTER,
    CLASSES,
    SIZES,
    WIDTH,
    make,
    of_video,
    ragged_batch,
    small_config,
    small_state,
)
from tsc_jax.methods.mmsd import losses
from tsc_jax.nn.cosine import Scores

RNG = np.random.default_rng(0)


def made_up(batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class attentions [B, T, C + 1], and the labels and mask of a batch."""
    attention = np.random.default_rng(1).random((*batch["mask"].shape, CLASSES + 1)).astype(np.float32)
    return attention, batch["labels"], batch["mask"]


def test_contrast_is_its_formula():
    attention, labels, mask = made_up(ragged_batch())
    expected = []
    for x, y, length in zip(
        attention, np.append(labels, np.ones((len(labels), 1), bool), axis=1), mask.sum(axis=1), strict=True
    ):
        ordered, k = np.sort(x[:length], axis=0), max(1, length // 8)
        expected.append((ordered[:k].mean(axis=0) - ordered[-k:].mean(axis=0))[y].sum())
    np.testing.assert_allclose(losses.contrast(attention, labels, mask, 8), expected, rtol=1e-5)


def test_separation_is_its_formula():
    attention, labels, mask = made_up(ragged_batch())
    expected = [
        -np.abs((x[:length, :-1] * y).max(axis=1) - x[:length, -1]).mean()
        for x, y, length in zip(attention, labels, mask.sum(axis=1), strict=True)
    ]
    np.testing.assert_allclose(losses.separation(attention, labels, mask), expected, rtol=1e-5)


def test_pseudo_labels_pull_the_attention_of_selected_snippets_alone():
    attention, target, selected = RNG.random((3, 6)), RNG.random((3, 6)), RNG.random((3, 6)) < 0.5
    selected[1] = False
    values = losses.pseudo_label_loss(*map(jnp.asarray, (attention, target, selected)))
    squares = np.square(attention - target)
    expected = [square[rows].mean() if rows.any() else 0 for square, rows in zip(squares, selected, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    gradient = jax.grad(lambda a: losses.pseudo_label_loss(a, target, selected).sum())(jnp.asarray(attention))
    assert ((np.asarray(gradient) != 0) == selected).all()


def test_rgb_and_flow_teach_each_other_and_their_mean_teaches_the_peer():
    cas = dict(zip(("rgb", "flow", "peer"), RNG.normal(size=(3, 1, 2, 3)), strict=True))
    teachers = losses.teachers_of({name: Scores(array, None, None, None, None) for name, array in cas.items()})
    np.testing.assert_array_equal(teachers["rgb"], cas["flow"])
    np.testing.assert_array_equal(teachers["flow"], cas["rgb"])
    np.testing.assert_allclose(teachers["peer"], (cas["rgb"] + cas["flow"]) / 2)
    assert losses.teachers_of({"joint": Scores(cas["rgb"], None, None, None, None)}) == {}


def loss_of(method, state, batch):
    """Sum and gradient of every term of a batch, as they enter the total."""

    def sums(params):
        terms, _ = method.loss(params, state.carried, batch, jax.random.key(0), state.step)
        return {name: term.weight * term.sum for name, term in terms.items()}

    def total(params):
        values = sums(params)
        return sum(values.values()), values

    return jax.device_get(jax.jit(jax.grad(total, has_aux=True))(state.params))


def close(one, other, tolerance=1e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(a).max(), 1)), one, other
    )


def test_a_padded_batch_is_the_sum_of_its_videos():
    method, batch = make(small_config(**{"model.dropout": 0.0})), ragged_batch(videos=3)
    state = small_state(method)
    together = loss_of(method, state, batch)
    singles = [loss_of(method, state, of_video(batch, row)) for row in range(len(batch["mask"]))]
    assert all(together[1][f"{stream}/pseudo_labels"] > 0 for stream in ("rgb", "flow", "peer"))
    close(together, jax.tree.map(lambda *leaves: np.sum(leaves, axis=0), *singles))


def test_rows_without_a_video_count_for_nothing():
    method, batch = make(small_config(**{"model.dropout": 0.0})), ragged_batch()
    state, empty = small_state(method), {name: array.copy() for name, array in batch.items()}
    empty["mask"][-2:], empty["labels"][-2:], empty["video"][-2:], empty["snippets"][-2:] = False, False, -1, 0
    kept = {name: array[:-2] if name != "paired" else array[:-1] for name, array in batch.items()}
    close(loss_of(method, state, empty), loss_of(method, state, kept))


def test_what_is_distilled_reaches_no_teacher():
    method = make(small_config(**{"model.dropout": 0.0}))
    state, batch = small_state(method), ragged_batch(videos=2)

    def distilled(params):
        terms, _ = method.loss(params, state.carried, batch, jax.random.key(0), state.step)
        return terms["peer/distillation"].sum

    gradients = jax.jit(jax.grad(distilled))(state.params)
    reached = {name for name, leaves in gradients.items() if any(np.any(leaf) for leaf in jax.tree.leaves(leaves))}
    # The peer reads the first layers of both streams.
    assert reached == {"fusion", "peer_centres", "rgb_first", "flow_first"}


@pytest.mark.parametrize("step", [0, AFTER])
def test_one_modality_is_the_full_method_without_the_other_streams(step):
    """A margin above 1 leaves every stream its own vote."""
    changes = {"model.dropout": 0.0, "pseudo.vote_margin": 1.1}
    full, batch = make(small_config(**changes)), ragged_batch()
    state = small_state(full, step)
    one = make(small_config(**changes, **{"model.modalities": 1}), dataclasses.replace(SIZES, width=WIDTH // 2))
    params = {name.replace("rgb", "joint"): leaves for name, leaves in state.params.items() if "rgb" in name}
    carried = {name: array[:1] for name, array in state.carried.items()}
    half = batch | {"features": batch["features"][..., : WIDTH // 2]}

    def total(method, stream, carried, batch):
        def function(params):
            terms, _ = method.loss(params, carried, batch, jax.random.key(0), state.step)
            kept = {name: term for name, term in terms.items() if name.startswith(stream)}
            kept.pop(f"{stream}/distillation", None)
            return sum(term.weight * term.sum for term in kept.values()), {
                name.split("/")[1]: term.sum for name, term in kept.items()
            }

        return jax.jit(jax.grad(function, has_aux=True))

    gradients, values = total(full, "rgb", state.carried, batch)(state.params)
    own_gradients, own_values = total(one, "joint", carried, half)(params)
    close(values, own_values)
    assert (own_values["pseudo_labels"] > 0) == (step == AFTER)
    close({name.replace("rgb", "joint"): gradients[name] for name in gradients if "rgb" in name}, own_gradients)
