"""Losses are sums over videos, modalities are trained apart, and settings that cannot be used are refused."""

import functools

import jax
import numpy as np
import pytest

from tests.methods.facnet.small import CLASSES, LENGTHS, WIDTH, make, only, ragged_batch, small_config, with_biases
from tsc_jax.errors import InputError
from tsc_jax.method import Sizes, TrainState, first_state, loss_gradients, train_step
from tsc_jax.methods import facnet

BRANCHES = ("class_wise", "class_agnostic", "instances")


def state_of(method, params=None) -> TrainState:
    state = first_state(method, 0)
    params = with_biases(state.params if params is None else params)
    return state.replace(params=params, opt_state=method.optimizer.init(params))


def gradients_of(method, state, batch):
    return jax.jit(functools.partial(loss_gradients, method, None))(state, batch)[:2]


def close(one, other, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance, rtol=1e-4), one, other)


def test_the_loss_and_its_gradient_are_sums_over_the_videos():
    method, batch = make(), ragged_batch(padding=3, rubbish=1e3)
    state = state_of(method)
    gradients, values = gradients_of(method, state, batch)
    parts = [gradients_of(method, state, only(batch, video)) for video in range(len(LENGTHS))]
    close(values, jax.tree.map(lambda *each: sum(each), *(part[1] for part in parts)))
    close(gradients, jax.tree.map(lambda *each: sum(each), *(part[0] for part in parts)))
    weighted = sum(weight * values[f"joint/{name}"] for name, weight in zip(BRANCHES, (1.0, 0.1, 0.1), strict=True))
    np.testing.assert_allclose(values["total"], weighted, rtol=1e-6)


def test_losses_are_cross_entropies_of_the_branches():
    """The background is a label of the instance branch alone."""
    method, batch = make(), ragged_batch()
    state = state_of(method)
    _, values = gradients_of(method, state, only(batch, 0))
    network = facnet.network.make_network(small_config().model, CLASSES)
    one = only(batch, 0)
    outputs = network.apply({"params": state.params["joint"]}, one["features"], one["mask"])
    for name, target in zip(BRANCHES, ([0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [1 / 3, 1 / 3, 0, 1 / 3]), strict=True):
        logits = np.asarray(getattr(outputs, name)[0], np.float64)
        expected = -np.sum(target * (logits - np.log(np.exp(logits).sum())))
        np.testing.assert_allclose(values[f"joint/{name}"], expected, rtol=1e-5)


def test_every_branch_trains_what_it_uses():
    """No gradient is stopped; only the instance branch does without the foreground's centre."""
    for name in BRANCHES:
        weights = {f"loss.weights.{each}": float(each == name) for each in BRANCHES}
        method = make(**weights)
        gradients, _ = gradients_of(method, state_of(method), ragged_batch())
        trained = jax.tree.map(lambda leaf: bool(np.asarray(leaf).any()), gradients["joint"])
        assert trained["centres"].pop("foreground") == (name != "instances")
        assert all(jax.tree.leaves(trained))


def test_two_modalities_in_one_step_are_trained_as_if_apart():
    both = make(width=2 * WIDTH, **{"model.modalities": 2})
    batches = {name: ragged_batch(seed) for seed, name in enumerate(("rgb", "flow"))}
    joined = batches["rgb"] | {"features": np.concatenate([each["features"] for each in batches.values()], axis=-1)}
    state = state_of(both)
    assert (np.asarray(state.params["rgb"]["hidden"]["kernel"]) != state.params["flow"]["hidden"]["kernel"]).any()
    ends, totals, one = {}, [], make()
    alone = {
        name: state.replace(
            params={"joint": state.params[name]}, opt_state=one.optimizer.init({"joint": state.params[name]})
        )
        for name in batches
    }
    step, single = (jax.jit(functools.partial(train_step, method, None)) for method in (both, one))
    for _ in range(3):
        state, values = step(state, joined)
        totals.append(float(values["total"]))
        for name, batch in batches.items():
            alone[name], own = single(alone[name], batch)
            totals[-1] -= float(own["total"])
            ends[name] = alone[name].params["joint"]
    np.testing.assert_allclose(totals, 0, atol=1e-4)
    close(state.params, ends)


@pytest.mark.parametrize(("modalities", "width"), [(1, 7), (1, 1), (2, 6), (2, 2)])
def test_widths_other_than_the_published_one_work(modalities, width):
    method = make(width=width, **{"model.modalities": modalities})
    batch, state = ragged_batch(width=width), first_state(method, 0)
    outputs = jax.device_get(method.forward(state.params, batch["features"], batch["mask"]))
    assert outputs.snippets["cas"].shape == (4, 9, CLASSES + 1) and outputs.snippets["attention"].shape == (4, 9)
    np.testing.assert_allclose(outputs.snippets["cas"].sum(axis=-1), 1, rtol=1e-5)
    attention = np.where(batch["mask"], outputs.snippets["attention"], 0)
    assert (attention >= 0).all() and (attention.max(axis=1) <= 1 + 1e-6).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {np.dtype("float32")}
    assert len(state.params) == modalities and not state.carried


@pytest.mark.parametrize(
    ("changes", "width", "message"),
    [
        ({"model.modalities": 3}, 9, r"config\.model\.modalities is 3, expected one of 1, 2"),
        ({"model.modalities": 2}, 9, r"config\.model\.modalities is 2, but the features have the odd width 9"),
        ({"model.embedding_width": 0}, 8, r"config\.model\.embedding_width is 0, expected 1 or more"),
        ({"model.dropout": 1.0}, 8, r"config\.model\.dropout is 1\.0"),
        ({"model.scale": 0.0}, 8, r"config\.model\.scale is 0\.0"),
        ({"model.temperatures": ()}, 8, r"config\.model\.temperatures is \(\), expected one or more numbers above 0"),
        ({"model.temperatures": (1.0, 0.0)}, 8, r"config\.model\.temperatures is \(1\.0, 0\.0\)"),
        ({"model.dtype": "float16"}, 8, r"config\.model\.dtype is 'float16'"),
        ({"loss.weights.instances": -1.0}, 8, r"config\.loss\.weights\.instances is -1\.0"),
        ({"loss.label_smoothing": -1.0}, 8, r"config\.loss\.label_smoothing is -1\.0"),
        ({"proposals.rgb_weight": 0.0}, 8, r"config\.proposals\.rgb_weight is 0\.0"),
        ({"proposals.fusion_nms_limit": 2.0}, 8, r"config\.proposals\.fusion_nms_limit is 2\.0"),
        ({"proposals.overrun": 2}, 8, r"config\.proposals\.overrun is 2"),
    ],
)
def test_invalid_settings_are_one_sentence(changes, width, message):
    with pytest.raises(InputError, match=message):
        facnet.make(small_config(**changes), Sizes(CLASSES, width))
