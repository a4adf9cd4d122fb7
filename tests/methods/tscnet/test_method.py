"""The train step of TSC-Net: dealing a batch to devices changes nothing, and each rule moves the bank as it says."""

import functools

import jax
import numpy as np

from tests.methods.tscnet.small import CLASSES, SIZES, WIDTH, ragged_batch, small_config, small_state
from tsc_jax.data.batches import deal
from tsc_jax.method import AXIS, first_state
from tsc_jax.methods import tscnet
from tsc_jax.methods.tscnet.network import apply, make_network
from tsc_jax.training.parallel import make_train_step, replicate

BATCH, PAIRS, LENGTH = 16, 3, 14


def dealt_batch(devices: int, seed: int) -> dict:
    """A ragged batch with PAIRS pairs, dealt to devices."""
    batch, dealt = ragged_batch(BATCH, LENGTH, seed), deal(BATCH, PAIRS, devices)
    rows = {name: array[dealt.order] for name, array in batch.items() if name != "paired"}
    return rows | {"paired": dealt.paired}


@functools.cache
def step_of(rule: str):
    """The compiled train step under an update rule, for any number of devices."""
    return make_train_step(tscnet.make(small_config(**{"bank.update_rule": rule}), SIZES, AXIS))


def run(devices: int, steps: int, rule: str = "gradient"):
    """The state and the terms of the loss after some steps, on the host."""
    state = replicate(small_state(small_config(**{"bank.update_rule": rule})), devices)
    for seed in range(steps):
        state, values = step_of(rule)(state, dealt_batch(devices, seed))
    return jax.device_get((state, values))


def first_moments(state) -> dict:
    """Adam's first moments after one step: the gradients, up to a factor."""
    return state.opt_state[1].mu


def test_one_device_equals_eight():
    (one, values_one), (eight, values_eight) = (run(devices, steps=1) for devices in (1, 8))
    for name, value in values_one.items():
        np.testing.assert_allclose(value, values_eight[name], rtol=1e-5, err_msg=name)

    def close(path, a, b):
        # A bias in front of a batch normalisation has no gradient but rounding noise: hence the 1e-3.
        error = np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-3)
        assert error < 1e-4, jax.tree_util.keystr(path)

    jax.tree_util.tree_map_with_path(close, first_moments(one), first_moments(eight))
    jax.tree_util.tree_map_with_path(close, one.carried, eight.carried)
    np.testing.assert_allclose(one.params["bank"], eight.params["bank"], atol=1e-5)


def test_the_total_is_the_weighted_sum_of_the_terms():
    weights, (_, values) = small_config().loss.weights, run(1, steps=1)
    terms = {name: float(value) for name, value in values.items() if name != "total"}
    assert len(terms) == 9
    expected = sum(weights[name.split("/")[1]] * value for name, value in terms.items())
    np.testing.assert_allclose(values["total"], expected, rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes():
    jax.tree.map(np.testing.assert_array_equal, run(1, steps=2), run(1, steps=2))


def test_the_published_rule_moves_every_row_and_keeps_the_fitted_ones():
    start = np.asarray(small_state(small_config()).params["bank"])
    state, _ = run(1, steps=2)
    assert (state.params["bank"] != start).all()
    np.testing.assert_array_equal(state.carried["bank"].fitted, start)


def test_a_frozen_bank_is_no_parameter_and_is_carried_on_untouched():
    config = small_config(**{"bank.update_rule": "frozen"})
    state, loss = small_state(config), tscnet.make(config, SIZES).loss
    assert set(state.params) == {"network"}

    def traced(carried):
        _, new = loss(state.params, carried, ragged_batch(4, 6), jax.random.key(0), state.step)
        assert new["bank"] is carried["bank"]
        assert new["batch_stats"] is not carried["batch_stats"]

    jax.eval_shape(traced, state.carried)


def fused(config, state, batch) -> tuple[jax.Array, jax.Array]:
    """The fused features and attention of the training step, dropout included."""
    variables = tscnet.make(config, SIZES).variables(state.params, state.carried)
    outputs, _ = apply(
        make_network(config.model, CLASSES, WIDTH), variables, batch["features"],
        variables["bank"].rows, batch["mask"],
        train=True, order=batch["order"], mutable=["batch_stats"],
        rngs={"dropout": jax.random.fold_in(jax.random.key(state.seed), state.step)},
    )  # fmt: skip
    branches, weight = (outputs.temporal, outputs.semantic), config.model.fusion_weight
    names = ("features", "attention")
    temporal, semantic = ([getattr(branch, name) for name in names] for branch in branches)
    return tuple(weight * one + (1 - weight) * other for one, other in zip(temporal, semantic, strict=True))


def evidence(batch: dict, features: np.ndarray, attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n [C + 1] and m [C + 1, D] of the rule "ema" (see bank/update.py) of a whole batch, snippet by snippet."""
    n, sums = np.zeros(CLASSES + 1), np.zeros((CLASSES + 1, WIDTH))
    for v, i in np.argwhere(batch["mask"]):
        for c in [*np.flatnonzero(batch["labels"][v]), CLASSES]:
            share = 1 - attention[v, i] if c == CLASSES else attention[v, i]
            n[c] += share
            sums[c] += share * features[v, i].astype(np.float64)
    return n, sums / n[:, None]


def test_ema_on_eight_devices_is_its_equations_on_the_whole_batch():
    config = small_config(**{"bank.update_rule": "ema"})
    start, usage = small_state(config), np.zeros(CLASSES + 1)
    state, shown = replicate(start, 8), jax.jit(functools.partial(fused, config))
    for seed in (1, 2):
        before, batch = jax.device_get(state), ragged_batch(BATCH, LENGTH, seed)
        n, m = evidence(batch, *jax.device_get(shown(before, batch)))
        state, _ = step_of("ema")(state, dealt_batch(8, seed))
        bank, momentum = jax.device_get(state.carried["bank"]), config.bank.momentum
        rows = momentum * before.carried["bank"].rows + (1 - momentum) * m
        np.testing.assert_allclose(bank.rows, rows, rtol=1e-4, atol=1e-5)
        usage += n
    np.testing.assert_allclose(bank.usage, usage, rtol=1e-4)
    np.testing.assert_array_equal(bank.fitted, start.carried["bank"].rows)


def test_the_bank_starts_at_0_and_is_fitted_by_the_refresh_of_step_0():
    made = tscnet.make(small_config(), SIZES)
    state = jax.eval_shape(lambda: first_state(made, 0))
    assert made.refresh_at == (0,)
    assert state.params["bank"].shape == state.carried["bank"].fitted.shape == (CLASSES + 1, WIDTH)


def test_a_network_of_heads_alone_takes_steps():
    config = small_config(**{f"model.{part}": False for part in ("mfip", "tce", "dsa")})
    start, train_step = small_state(config), make_train_step(tscnet.make(config, SIZES, AXIS))
    state, values = train_step(replicate(start, 1), dealt_batch(1, 0))
    assert np.isfinite(values["total"])
    assert state.carried["batch_stats"] == {}, "there is no batch normalisation left"
    moved, before = (each.params["network"]["temporal_head"]["class_logits"]["kernel"] for each in (state, start))
    assert (np.asarray(moved) != np.asarray(before)).any()
