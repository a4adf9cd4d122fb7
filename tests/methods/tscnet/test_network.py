"""Padding changes nothing; the network has the published size and starts as the identity."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import thumos14
from tests.methods.tscnet.small import CLASSES, WIDTH, ragged_batch, small_config, small_state
from tsc_jax.methods.tscnet.bank import BankFit, new_bank
from tsc_jax.methods.tscnet.network import make_network
from tsc_jax.methods.tscnet.outputs import fuse
from tsc_jax.methods.tscnet.train_step import count_parameters, init_state


def apply(config, state, batch, **how):
    network = make_network(config.model, CLASSES, WIDTH)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    forward = jax.jit(functools.partial(network.apply, **how))
    return forward(variables, batch["features"], state.bank.rows, batch["mask"])


def test_a_padded_video_gets_what_it_gets_alone():
    config = small_config()
    state = small_state(config)
    batch = ragged_batch(videos=5, length=23)
    together = apply(config, state, batch)
    for i, length in enumerate(batch["mask"].sum(axis=1)):
        alone = apply(
            config, state, {"features": batch["features"][i : i + 1, :length], "mask": np.ones((1, length), bool)}
        )
        for padded, single in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(padded[i, :length], single[0], rtol=2e-5, atol=2e-5)


def test_batch_statistics_do_not_see_padding():
    config = small_config()
    state = small_state(config)
    batch = ragged_batch(videos=5, length=23)
    longer = {
        "features": np.pad(batch["features"], ((0, 0), (0, 9), (0, 0)), constant_values=7),
        "mask": np.pad(batch["mask"], ((0, 0), (0, 9))),
    }
    short, long = (apply(config, state, b, train=True, mutable=["batch_stats"]) for b in (batch, longer))
    mask = batch["mask"]
    for a, b in zip(jax.tree.leaves(short[0]), jax.tree.leaves(long[0]), strict=True):
        np.testing.assert_allclose(a[mask], b[:, : mask.shape[1]][mask], rtol=1e-4, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), short[1], long[1])


def test_a_row_without_snippets_gives_numbers():
    config = small_config()
    batch = ragged_batch(videos=2, length=6)
    batch["mask"][1] = False
    outputs = apply(config, small_state(config), batch)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outputs))


def test_both_branches_start_as_the_identity():
    config = small_config()
    state = init_state(config, CLASSES, new_bank(jnp.ones((CLASSES + 1, WIDTH)), BankFit()))
    batch = ragged_batch(videos=2, length=6)
    outputs = apply(config, state, batch)
    np.testing.assert_array_equal(outputs.temporal.features, outputs.pyramid)


def test_published_number_of_parameters():
    config = thumos14.get_config()
    state = jax.eval_shape(lambda: init_state(config, 20, new_bank(jnp.zeros((21, 2048)), BankFit())))
    assert count_parameters(state) == 138_064_428
    hidden = state.params["temporal_head"]["attention_hidden1"]["kernel"]
    assert hidden.shape == (3, 2048, 512)


def test_bfloat16_computes_close_and_keeps_float32_outside():
    config = small_config()
    state, batch = small_state(config), ragged_batch(videos=3, length=12)
    exact = apply(config, state, batch)
    config.model.dtype = "bfloat16"
    rounded = apply(config, state, batch)
    assert all(
        leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((rounded, init_state(config, 4, state.bank).params))
    )
    for a, b in zip(fuse(exact, 0.55), fuse(rounded, 0.55), strict=True):
        mask = batch["mask"]
        assert 0 < np.abs(a - b)[mask].max() < 0.05 * np.abs(a)[mask].max()


@pytest.mark.parametrize("width", [8, 24])
@pytest.mark.parametrize("classes", [1, 7])
def test_any_width_and_number_of_classes(width, classes):
    network = make_network(small_config().model, classes, width)
    features, bank = jnp.ones((2, 3, width)), jnp.ones((classes + 1, width))
    init = jax.jit(network.init_with_output)
    outputs, _ = init(jax.random.key(0), features, bank, jnp.ones((2, 3), bool))
    assert outputs.temporal.cas.shape == outputs.semantic.cas.shape == (2, 3, classes + 1)


@pytest.mark.parametrize("off", [["mfip"], ["tce"], ["dsa", "mfip"]])  # what DSA gets shows where MFIP hands it on
def test_a_part_that_is_switched_off_hands_on_what_it_gets_and_leaves_nothing_behind(off):
    config, batch = small_config(), ragged_batch(videos=2, length=6)
    published = jax.eval_shape(lambda: small_state(config))
    config.model.update(dict.fromkeys(off, False))
    state = small_state(config)
    expected, left = (jax.tree.map(lambda leaf: leaf.shape, each.params) for each in (published, state))
    assert left == {part: shapes for part, shapes in expected.items() if part not in off}
    assert set(state.batch_stats) == {"tce", "dsa"} - set(off)
    outputs = apply(config, state, batch)
    given = {"mfip": batch["features"], "tce": outputs.pyramid, "dsa": batch["features"]}
    found = {"mfip": outputs.pyramid, "tce": outputs.temporal.features, "dsa": outputs.semantic.features}
    for part in off:
        np.testing.assert_array_equal(found[part], given[part])
