"""One convolution in whatever form; products in the dtype they say, backward too."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.tscnet.small import CLASSES, WIDTH, ragged_batch, small_config, small_state
from tsc_jax.methods.tscnet.train_step import make_train_step, replicate
from tsc_jax.nn.layers import convolve_by_product, convolve_directly, product

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


@settings(max_examples=20)
@given(st.integers(1, 9), st.sampled_from([1, 3, 5, 7]), st.integers(1, 4), st.integers(1, 4))
def test_both_forms_of_the_convolution_agree_with_numpy(length, taps, width, channels):
    x, kernel = numbers(0, 2, length, width), numbers(1, taps, width, channels)
    padded = np.pad(x, ((0, 0), (taps // 2, taps // 2), (0, 0)))
    expected = sum(padded[:, tap : tap + length] @ np.asarray(kernel)[tap] for tap in range(taps))
    for form in (convolve_directly, convolve_by_product):
        np.testing.assert_allclose(form(x, kernel), expected, rtol=1e-5, atol=1e-5)
    gradients = [
        jax.grad(lambda *a, f=form: jnp.sum(f(*a) ** 2), (0, 1)) for form in (convolve_directly, convolve_by_product)
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

    found = gradients(lambda x, y: product(form, dtype, x, y))
    for ours, exact in zip(found, gradients(lambda x, y: jnp.einsum(form, x, y)), strict=True):
        assert ours.dtype == jnp.float32
        assert np.linalg.norm(ours - exact) <= tolerance * np.linalg.norm(exact)


def test_every_product_of_a_bfloat16_step_is_one_of_bfloat16_accumulated_in_float32():
    config = small_config()
    config.model.dtype = "bfloat16"
    state, batch = replicate(small_state(config), 1), jax.tree.map(lambda x: x[None], ragged_batch(4, 12))
    train_step = make_train_step(config, CLASSES, WIDTH)
    program = train_step.lower(state, batch).as_text()
    products = re.findall(r"stablehlo\.dot_general.* : \((\S+), (\S+)\) -> (\S+)", program)
    of_loss = 2 * 2 * (1 + 2)  # in each branch the high and the low features of the contrastive loss, and gradients
    float32 = [each for each in products if not all("bf16" in operand for operand in each[:2])]
    assert len(products) > 60
    assert len(float32) <= of_loss
    assert all(each[2].endswith("xf32>") for each in products)
    assert "stablehlo.convolution" not in program
    _, losses = train_step(state, batch)
    assert all(np.isfinite(loss) for loss in losses.values())
