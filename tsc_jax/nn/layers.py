"""Layers that several methods use, exact on padded batches and across devices.

`mask` is boolean [B, T], True where a snippet exists. Padded places never reach a snippet that exists, so every
video of a padded batch gets the numbers that it gets alone. `order` is int [B], each video's place in the global
batch; where it is None, there is no dropout.
"""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

he_uniform = nn.initializers.he_uniform()
xavier_uniform = nn.initializers.xavier_uniform()
# PyTorch's default for kernels, uniform in +-1 / sqrt(fan_in); for a bias, `uniform_within(fan_in**-0.5)`.
pytorch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def uniform_within(bound: float) -> Callable:
    """An initializer that draws uniformly from (-bound, bound)."""
    return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


@dataclasses.dataclass(frozen=True)
class Numerics:
    """How the layers of a network compute."""

    dtype: DTypeLike  # of activations and of the operands of products; parameters are float32
    mapped: bool = False  # over several sets of parameters (several seeds in one program)


class TemporalConv(nn.Module):
    """1-D convolution over time, stride 1, zero padding outside of the video."""

    channels: int
    kernel: int  # taps, in snippets; odd
    numerics: Numerics
    kernel_init: Callable = he_uniform
    use_bias: bool = True
    bias_init: Callable = nn.initializers.zeros
    dilation: int = 1  # snippets between two taps

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, Din] -> [B, T, channels]."""
        kernel = self.param("kernel", self.kernel_init, (self.kernel, x.shape[-1], self.channels))
        x = jnp.where(mask[..., None], x, 0).astype(self.numerics.dtype)
        y = convolve(x, kernel, self.numerics.mapped, self.dilation)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, (self.channels,))
        return y + bias.astype(x.dtype)[None, None]


def convolve(x: jax.Array, kernel: jax.Array, mapped: bool, dilation: int = 1) -> jax.Array:
    """Convolves [B, T, Din] with [taps, Din, Dout] in the dtype of `x`, in the form that is fastest for it.

    On a CPU XLA's convolution beats its matrix products in float32, even with one tap. It gains nothing from bfloat16,
    and it is slower where vmap turns it into many kernels (`mapped`).
    """
    by_product = jax.default_backend() == "cpu" and (x.dtype != jnp.float32 or mapped)
    return (convolve_by_product if by_product else convolve_directly)(x, kernel, dilation)


def convolve_directly(x: jax.Array, kernel: jax.Array, dilation: int = 1) -> jax.Array:
    """Uses XLA's own convolution."""
    dimensions, kernel = ("NWC", "WIO", "NWC"), kernel.astype(x.dtype)
    return jax.lax.conv_general_dilated(
        x, kernel, (1,), "SAME", rhs_dilation=(dilation,), dimension_numbers=dimensions, precision="highest"
    )


def convolve_by_product(x: jax.Array, kernel: jax.Array, dilation: int = 1) -> jax.Array:
    """Uses one matrix product of each snippet's neighbours, laid side by side."""
    reach, length = len(kernel) // 2 * dilation, x.shape[1]
    padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    firsts = range(0, 2 * reach + 1, dilation)
    neighbours = jnp.concatenate([padded[:, first : first + length] for first in firsts], axis=-1)
    return product("btd,de->bte", x.dtype, neighbours, kernel.reshape(-1, kernel.shape[-1])).astype(x.dtype)


class Linear(nn.Module):
    """A pointwise map of the last axis."""

    channels: int
    numerics: Numerics
    kernel_init: Callable = he_uniform
    bias_init: Callable = nn.initializers.zeros
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, Din] or [K, Din] -> the same with `channels`."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.channels))
        x = x.astype(self.numerics.dtype)
        if x.ndim == 3:
            y = convolve(x, kernel[None], self.numerics.mapped)
        else:
            y = product("kd,de->ke", x.dtype, x, kernel).astype(x.dtype)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, (self.channels,))
        return y + jnp.broadcast_to(bias.astype(x.dtype), y.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def product(form: str, dtype: DTypeLike, x: jax.Array, y: jax.Array) -> jax.Array:
    """einsum(form, x, y) of operands rounded to `dtype`, accumulated in float32: float32.

    In `form`, every letter of an operand stands in the other one or in the result. The backward pass rounds the
    cotangent too: without the rule below, it would multiply a float32 cotangent at float32 speed.
    """
    x, y = x.astype(dtype), y.astype(dtype)
    return jnp.einsum(form, x, y, precision="highest", preferred_element_type=jnp.float32)


def _product_backward(form: str, dtype: DTypeLike, operands: tuple, cotangent: jax.Array) -> tuple:
    x, y = operands
    of_x, of_y, of_result = form.replace("->", ",").split(",")
    towards_x = product(f"{of_result},{of_y}->{of_x}", dtype, cotangent, y)
    towards_y = product(f"{of_x},{of_result}->{of_y}", dtype, x, cotangent)
    return towards_x.astype(x.dtype), towards_y.astype(y.dtype)


product.defvjp(lambda form, dtype, x, y: (product(form, dtype, x, y), (x, y)), _product_backward)


class BatchNorm(nn.Module):
    """Batch normalisation over all snippets of all videos on all devices.

    Sums and counts are reduced over devices before the division: flax's own layer averages the means of devices, which
    is wrong when they hold unequal numbers of snippets. As in PyTorch, the running variance is the unbiased one. By
    default scale and bias start at 0 (published by TSC-Net), so every residual block starts as the identity.
    """

    momentum: float  # weight of the new batch in the running statistics
    epsilon: float  # added to the variance
    axis_name: str | None  # the pmap axis to reduce over, None on one device
    scale_init: Callable = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """[B, T, D] -> [B, T, D]; batch statistics when training, running ones otherwise."""
        dtype, x = x.dtype, x.astype(jnp.float32)
        width = x.shape[-1]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, width)
        running_var = self.variable("batch_stats", "var", jnp.ones, width)
        if train and not self.is_initializing():
            mean, var, count = batch_statistics(x, mask[..., None], self.axis_name)
            unbiased = var * count / jnp.maximum(count - 1, 1)
            running_mean.value += self.momentum * (mean - running_mean.value)
            running_var.value += self.momentum * (unbiased - running_var.value)
        else:
            mean, var = running_mean.value, running_var.value
        scale = self.param("scale", self.scale_init, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        factor = jax.lax.rsqrt(var + self.epsilon) * scale
        return ((x - mean[None, None]) * factor[None, None] + bias[None, None]).astype(dtype)


def batch_statistics(x: jax.Array, mask: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean [D] and biased variance [D] over the snippets of all devices, and their number; mask [B, T, 1]."""

    def total(values: jax.Array, **options) -> jax.Array:
        of_device = jnp.sum(values, **options)
        return of_device if axis_name is None else jax.lax.psum(of_device, axis_name)

    count = jnp.maximum(total(mask, dtype=jnp.float32), 1)
    mean = total(x, axis=(0, 1), where=mask) / count
    return mean, total(jnp.square(x - mean[None, None]), axis=(0, 1), where=mask) / count, count


class Dropout(nn.Module):
    """Dropout whose pattern belongs to the video, not to the device it sits on."""

    rate: float  # share of the entries set to 0

    @nn.compact
    def __call__(self, x: jax.Array, order: jax.Array | None) -> jax.Array:
        """[B, ...] -> [B, ...]."""
        if order is None or self.rate == 0:
            return x
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), order)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0)


def softmax_where(logits: jax.Array, where: jax.Array, axis: int) -> jax.Array:
    """Float32 softmax over the entries where `where` holds, 0 elsewhere and where nothing holds."""
    return jax.nn.softmax(logits.astype(jnp.float32), axis=axis, where=where)
