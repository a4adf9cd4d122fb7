"""One device and eight give the same run; nothing differs behind the back of a replicated array."""

import jax
import numpy as np
import pytest

from tests.methods.tscnet.small import CLASSES, WIDTH, ragged_batch, small_config, small_state
from tsc_jax.data.batches import deal
from tsc_jax.methods.tscnet.network import make_network
from tsc_jax.methods.tscnet.train_step import averaged, learning_rate, make_train_step, replicate

BATCH = 16


def on_devices(batch: dict, devices: int, pairs: int) -> dict:
    dealt = deal(BATCH, pairs, devices)
    sharded = {name: batch[name][dealt.rows] for name in ("features", "labels", "mask", "rows")}
    return sharded | {"paired": dealt.paired, "seed": np.zeros(devices, np.int32)}


def run(devices: int, pairs: int, steps: int, update_rule: str = "gradient"):
    """The state and losses after so many steps."""
    config = small_config()
    config.bank.update_rule = update_rule
    state, train_step = replicate(small_state(config), devices), make_train_step(config, CLASSES, WIDTH)
    for seed in range(steps):
        state, losses = train_step(state, on_devices(ragged_batch(BATCH, 14, seed), devices, pairs))
    return state, losses


def on_host(tree) -> dict:
    return jax.tree.map(np.asarray, tree)


def first_moments(state) -> dict:
    """Adam's first moments after one step: the gradients, up to a factor."""
    return state.opt_state[1].mu


@pytest.mark.parametrize("pairs", [3, 8])
def test_one_device_equals_eight(pairs):
    (one, losses_one), (eight, losses_eight) = (run(devices, pairs, steps=1) for devices in (1, 8))
    for name, value in losses_one.items():
        np.testing.assert_allclose(value, losses_eight[name], rtol=1e-5, err_msg=name)

    def close(path, a, b):
        # A bias in front of a batch normalisation has no gradient but rounding noise: hence the 1e-3.
        error = np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-3)
        assert error < 1e-4, jax.tree_util.keystr(path)

    jax.tree_util.tree_map_with_path(close, *map(on_host, (first_moments(one), first_moments(eight))))
    jax.tree_util.tree_map_with_path(close, *map(on_host, (one.batch_stats, eight.batch_stats)))
    np.testing.assert_allclose(one.bank.rows, eight.bank.rows, atol=1e-5)


def test_every_device_holds_the_same_state():
    state, losses = run(devices=8, pairs=8, steps=3)
    for path, leaf in jax.tree.leaves_with_path((state, losses)):
        shards = [np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards]
        assert len(shards) == 8
        assert len(set(shards)) == 1, jax.tree_util.keystr(path)


def test_the_frozen_bank_stays_and_the_published_one_moves():
    start = np.asarray(small_state(small_config()).bank.rows)
    frozen, moving = (run(1, 3, 2, rule)[0].bank.rows for rule in ("frozen", "gradient"))
    np.testing.assert_array_equal(frozen, start)
    assert (np.asarray(moving) != start).all()


def shown_by(config, state, batch) -> tuple[np.ndarray, np.ndarray]:
    """n [C + 1] and m [C + 1, D] of the rule "ema" (see bank/update.py) of a whole batch, snippet by snippet."""
    outputs, _ = make_network(config.model, CLASSES, WIDTH).apply(
        {"params": state.params, "batch_stats": state.batch_stats},
        *(batch["features"], state.bank.rows, batch["mask"]),
        train=True, rows=batch["rows"], mutable=["batch_stats"],
        rngs={"dropout": jax.random.fold_in(jax.random.key(0), int(state.step))},
    )  # fmt: skip
    temporal, semantic, weight = outputs.temporal, outputs.semantic, config.model.fusion_weight
    features = np.asarray(weight * temporal.features + (1 - weight) * semantic.features, np.float64)
    attention = np.asarray(weight * temporal.attention + (1 - weight) * semantic.attention, np.float64)
    n, sums = np.zeros(CLASSES + 1), np.zeros((CLASSES + 1, WIDTH))
    for v, i in np.argwhere(batch["mask"]):
        for c in [*np.flatnonzero(batch["labels"][v]), CLASSES]:
            share = 1 - attention[v, i] if c == CLASSES else attention[v, i]
            n[c] += share
            sums[c] += share * features[v, i]
    return n, sums / n[:, None]


def test_ema_and_averages_on_eight_devices_are_their_equations_on_the_whole_batch():
    config = small_config()
    config.bank.update_rule, config.optimizer.average_decay = "ema", 0.2
    start, train_step = small_state(config), make_train_step(config, CLASSES, WIDTH)
    state, average, usage = replicate(start, 8), on_host(start.averages), np.zeros(CLASSES + 1)
    for step in (1, 2):
        batch, before = ragged_batch(BATCH, 14, step), jax.tree.map(np.array, state)
        n, m = shown_by(config, before, batch)
        state, _ = train_step(state, on_devices(batch, 8, 3))
        rows = config.bank.momentum * before.bank.rows + (1 - config.bank.momentum) * m
        np.testing.assert_allclose(state.bank.rows, rows, rtol=1e-4, atol=1e-5)
        usage += n
        kept = min(0.2, (1 + step) / (10 + step))
        average = jax.tree.map(lambda old, new, w=kept: w * old + (1 - w) * new, average, on_host(averaged(state)))
    np.testing.assert_allclose(state.bank.usage, usage, rtol=1e-4)
    np.testing.assert_array_equal(state.bank.fitted, start.bank.rows)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), average, on_host(state.averages))
    assert "bank" not in first_moments(state)


def test_the_cosine_ends_at_0():
    config = small_config()
    config.optimizer.decay_steps = 50
    rates = [float(learning_rate(config.optimizer)(step)) for step in (0, 25, 50, 60)]
    np.testing.assert_allclose(rates, np.array([1, 0.5, 0, 0]) * config.optimizer.learning_rate, atol=1e-9)


def test_the_same_seed_gives_the_same_bytes():
    (a, _), (b, _) = run(2, 3, 2), run(2, 3, 2)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("devices", [1, 8])
def test_the_step_is_compiled_once(devices, caplog):
    state, train_step = replicate(small_state(small_config()), devices), make_train_step(small_config(), CLASSES, WIDTH)
    batches = [on_devices(ragged_batch(BATCH, 14, seed), devices, 3) for seed in range(3)]
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        for batch in batches:
            state, _ = train_step(state, batch)
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert len(compiled) == 1


def test_a_network_of_heads_alone_takes_steps():
    config = small_config()
    config.model.update(mfip=False, tce=False, dsa=False)
    state, train_step = replicate(small_state(config), 1), make_train_step(config, CLASSES, WIDTH)
    start = on_host(state.params)
    state, losses = train_step(state, on_devices(ragged_batch(BATCH, 14, 0), 1, 3))
    assert np.isfinite(losses["total"])
    assert state.batch_stats == {}, "there is no batch normalisation left"
    assert (
        np.asarray(state.params["temporal_head"]["class_logits"]["kernel"])
        != start["temporal_head"]["class_logits"]["kernel"]
    ).any()
