"""One convolution in whatever form; products in the dtype they say, backward too."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods.tscnet.small import SIZES, ragged_batch, small_config, small_state, small_variables
from tsc_jax.method import train_step
from tsc_jax.methods import tscnet
from tsc_jax.nn.layers import convolve_by_product, convolve_directly, product, softmax_where

FORMS = {
    "btd,de->bte": ((2, 3, 4), (4, 5)),
    "kd,de->ke": ((3, 4), (4, 5)),
    "bhte,bhse->bhts": ((2, 2, 3, 4), (2, 2, 5, 4)),
    "bhts,bhse->bhte": ((2, 2, 3, 5), (2, 2, 5, 4)),
    "bthe,khe->bthk": ((2, 3, 2, 4), (5, 2, 4)),
    "bthk,khe->bthe": ((2, 3, 2, 5), (5, 2, 4)),
}


def numbers(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("dilation", [1, 2, 5])
@pytest.mark.parametrize(
    ("length", "taps", "width", "channels"), [(1, 1, 1, 1), (1, 5, 2, 3), (4, 7, 3, 1), (9, 3, 4, 2)]
)
def test_both_forms_of_the_convolution_agree_with_numpy(length, taps, width, channels, dilation):
    x, kernel = numbers(0, 2, length, width), numbers(1, taps, width, channels)
    reach = taps // 2 * dilation
    padded = np.pad(x, ((0, 0), (reach, reach), (0, 0)))
    firsts = dilation * np.arange(taps)
    expected = sum(padded[:, first : first + length] @ each for first, each in zip(firsts, kernel, strict=True))
    for form in (convolve_directly, convolve_by_product):
        np.testing.assert_allclose(form(x, kernel, dilation), expected, rtol=1e-5, atol=1e-5)
    gradients = [
        jax.jit(jax.grad(lambda *a, f=form: jnp.sum(f(*a, dilation) ** 2), (0, 1)))
        for form in (convolve_directly, convolve_by_product)
    ]
    for one, other in zip(*(gradient(x, kernel) for gradient in gradients), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 0.03)])
def test_the_gradient_of_a_product_is_that_of_einsum(form, dtype, tolerance):
    x, y = (numbers(seed, *shape) for seed, shape in enumerate(FORMS[form]))
    weight = numbers(2, *product(form, dtype, x, y).shape)

    def gradients(multiply):
        return jax.jit(jax.grad(lambda x, y: jnp.sum(weight * multiply(x, y)), (0, 1)))(x, y)

    ours_of_both = gradients(lambda x, y: product(form, dtype, x, y))
    for ours, exact in zip(ours_of_both, gradients(lambda x, y: jnp.einsum(form, x, y)), strict=True):
        assert ours.dtype == jnp.float32
        assert np.linalg.norm(ours - exact) <= tolerance * np.linalg.norm(exact)


def test_every_product_of_a_bfloat16_step_is_one_of_bfloat16_accumulated_in_float32():
    made = tscnet.make(small_config(**{"model.dtype": "bfloat16"}), SIZES)
    state, batch = small_state(small_config()), ragged_batch(4, 12)
    step = jax.jit(functools.partial(train_step, made, None)).lower(state, batch)
    products = re.findall(r"stablehlo\.dot_general.* : \((\S+), (\S+)\) -> (\S+)", step.as_text())
    of_loss = 2 * 2 * (1 + 2)  # in each branch the high and the low features of the contrastive loss, and gradients
    float32 = [each for each in products if not all("bf16" in operand for operand in each[:2])]
    assert len(products) > 60
    assert len(float32) <= of_loss
    assert all(each[2].endswith("xf32>") for each in products)
    assert "stablehlo.convolution" not in step.as_text()
    _, losses = step.compile()(state, batch)
    assert all(np.isfinite(loss) for loss in losses.values())


def test_mapped_changes_nothing_but_rounding():
    """Where a network is mapped over several sets of parameters, its convolutions take another form."""
    variables, batch = small_variables(small_config()), ragged_batch(3, 12)
    forwards = [jax.jit(tscnet.make(small_config(), SIZES, mapped=mapped).forward) for mapped in (False, True)]
    plain, mapped = (forward(variables, batch["features"], batch["mask"]) for forward in forwards)
    for name, array in plain.snippets.items():
        np.testing.assert_allclose(array, mapped.snippets[name], rtol=1e-4, atol=1e-5)
    texts = [forward.lower(variables, batch["features"], batch["mask"]).as_text() for forward in forwards]
    assert ["stablehlo.convolution" in text for text in texts] == [True, False]


def test_a_masked_softmax_sums_to_1_over_what_exists_and_is_0_where_nothing_does():
    logits, where = numbers(0, 3, 5), np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
    exponentials = np.exp(np.asarray(logits, np.float64)) * where
    expected = exponentials / np.maximum(exponentials.sum(axis=1, keepdims=True), 1e-30)
    np.testing.assert_allclose(softmax_where(logits, where, axis=1), expected, rtol=1e-5)
    gradient = jax.grad(lambda x: jnp.sum(softmax_where(x, where, 1) ** 2))(logits)
    assert np.isfinite(gradient).all() and not np.asarray(gradient)[~where].any()
