"""Padding changes nothing; the network has the published size and starts as the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import thumos14
from tests.methods.tscnet.small import CLASSES, SIZES, WIDTH, ragged_batch, small_config, small_variables
from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.methods import tscnet
from tsc_jax.methods.tscnet.network import apply as apply_network
from tsc_jax.methods.tscnet.network import fuse, make_network


def apply(config, variables, batch, **options):
    network = make_network(config.model, CLASSES, WIDTH)
    forward = jax.jit(lambda *inputs: apply_network(network, *inputs, **options))
    return forward(variables, batch["features"], variables["bank"].rows, batch["mask"])


def test_a_padded_video_gets_what_it_gets_alone():
    config = small_config()
    variables, batch = small_variables(config), ragged_batch(videos=3, length=23)
    together = apply(config, variables, batch)
    for i, length in enumerate(batch["mask"].sum(axis=1)):
        alone = {"features": batch["features"][i : i + 1, :length], "mask": np.ones((1, length), bool)}
        single = apply(config, variables, alone)
        for padded, own in zip(jax.tree.leaves(together), jax.tree.leaves(single), strict=True):
            np.testing.assert_allclose(padded[i, :length], own[0], rtol=2e-5, atol=2e-5)


def test_batch_statistics_do_not_see_padding_nor_rows_without_snippets():
    config = small_config()
    variables, batch = small_variables(config), ragged_batch(videos=3, length=11)
    more = {
        "features": np.pad(batch["features"], ((0, 2), (0, 9), (0, 0)), constant_values=7),
        "mask": np.pad(batch["mask"], ((0, 2), (0, 9))),
    }
    plain, padded = (apply(config, variables, each, train=True, mutable=["batch_stats"]) for each in (batch, more))
    mask = batch["mask"]
    for a, b in zip(jax.tree.leaves(plain[0]), jax.tree.leaves(padded[0]), strict=True):
        np.testing.assert_allclose(a[mask], b[:3, :11][mask], rtol=1e-4, atol=1e-4)
        assert np.isfinite(b).all()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain[1], padded[1])


def test_both_branches_start_as_the_identity():
    config, batch = small_config(), ragged_batch(videos=2, length=6)
    made = tscnet.make(config, SIZES)
    variables = made.variables(*made.init(jax.random.key(0)))
    variables["bank"] = variables["bank"].replace(rows=jnp.ones((CLASSES + 1, WIDTH)))
    outputs = apply(config, variables, batch)
    np.testing.assert_array_equal(outputs.temporal.features, outputs.pyramid)


def test_published_number_of_parameters():
    made = tscnet.make(thumos14.get_config(), Sizes(20, 2048))
    params, _ = jax.eval_shape(made.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 138_064_428
    assert params["network"]["temporal_head"]["attention_hidden1"]["kernel"].shape == (3, 2048, 512)
    assert params["bank"].shape == (21, 2048)


def test_bfloat16_computes_close_and_keeps_float32_outside():
    exact, rounded = small_config(), small_config(**{"model.dtype": "bfloat16"})
    variables, batch = small_variables(exact), ragged_batch(videos=3, length=12)
    outputs = [apply(config, variables, batch) for config in (exact, rounded)]
    params, carried = jax.eval_shape(tscnet.make(rounded, SIZES).init, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves((outputs, params, carried))} == {jnp.dtype("float32")}
    for a, b in zip(*(fuse(each, 0.55) for each in outputs), strict=True):
        mask = batch["mask"]
        assert 0 < np.abs(a - b)[mask].max() < 0.05 * np.abs(a)[mask].max()


@pytest.mark.parametrize(("classes", "width"), [(1, 8), (7, 24)])
def test_any_width_and_number_of_classes(classes, width):
    made = tscnet.make(small_config(), Sizes(classes, width))
    variables = jax.eval_shape(lambda key: made.variables(*made.init(key)), jax.random.key(0))
    features, mask = jax.ShapeDtypeStruct((2, 3, width), jnp.float32), jax.ShapeDtypeStruct((2, 3), bool)
    outputs = jax.eval_shape(made.forward, variables, features, mask)
    assert outputs.snippets["cas"].shape == (2, 3, classes + 1)
    assert outputs.snippets["attention"].shape == (2, 3)


@pytest.mark.parametrize("off", [["mfip"], ["tce"], ["dsa", "mfip"]])  # what DSA gets shows where MFIP hands it on
def test_a_part_that_is_switched_off_returns_its_input_and_has_no_parameters(off):
    config, batch = small_config(**{f"model.{part}": False for part in off}), ragged_batch(videos=2, length=6)
    variables = small_variables(config)
    expected, left = (jax.tree.map(jnp.shape, each["params"]) for each in (small_variables(small_config()), variables))
    assert left == {part: shapes for part, shapes in expected.items() if part not in off}
    assert set(variables["batch_stats"]) == {"tce", "dsa"} - set(off)
    outputs = apply(config, variables, batch)
    given = {"mfip": batch["features"], "tce": outputs.pyramid, "dsa": batch["features"]}
    returned = {"mfip": outputs.pyramid, "tce": outputs.temporal.features, "dsa": outputs.semantic.features}
    for part in off:
        np.testing.assert_array_equal(returned[part], given[part])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.tce_heads", 5),
        ("model.pyramid_kernels", (1, 2, 5)),
        ("bank.update_rule", "gradint"),
        ("bank.rows", -1),
        ("loss.topk_ratio", 0),
        ("loss.label_smoothing", -1.0),
        ("optimizer.beta1", 1.0),
        ("optimizer.milestones", (5, 3)),
        ("proposals.nms_sigma", 0.0),
    ],
)
def test_settings_that_it_cannot_use_are_named_with_their_value(key, value):
    with pytest.raises(InputError, match=rf"config\.{key} is ") as caught:
        tscnet.make(small_config(**{key: value}), SIZES)
    assert repr(value).strip("()") in str(caught.value)
