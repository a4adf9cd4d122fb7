"""One device and eight give the same run; nothing differs behind the back of a replicated array."""

import jax
import numpy as np
import pytest

from tests.tscnet.small import CLASSES, WIDTH, ragged_batch, small_config, small_state
from tsc_jax.data.batches import deal
from tsc_jax.tscnet.train_step import make_train_step, replicate

BATCH = 16


def on_devices(batch: dict, devices: int, pairs: int) -> dict:
    dealt = deal(BATCH, pairs, devices)
    sharded = {name: batch[name][dealt.rows] for name in ("features", "labels", "mask", "rows")}
    return sharded | {"paired": dealt.paired, "seed": np.zeros(devices, np.int32)}


def run(devices: int, pairs: int, steps: int, update_rule: str = "gradient"):
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
