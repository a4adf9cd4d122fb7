"""The layers TSC-Net is made of, exact on padded batches and across devices.

`mask` is boolean [B, T], True where a snippet exists. Whatever stands in padded
places never reaches a snippet that exists, so a padded batch gives every video
what it gives alone.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

he_uniform = nn.initializers.he_uniform()


class TemporalConv(nn.Module):
    """1-D convolution over time, stride 1, zero padding outside of the video.

    Computed as one matrix product of each snippet's neighbours side by side, which is as fast as XLA's own
    convolution or faster, and accumulates in float32 whatever it multiplies.

    Attributes:
      channels: width of the output.
      kernel: taps, in snippets; odd.
      dtype: of the computation; parameters are float32.
    """

    channels: int
    kernel: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, Din] -> [B, T, channels]."""
        length, width = x.shape[1:]
        kernel = self.param("kernel", he_uniform, (self.kernel, width, self.channels))
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        reach = self.kernel // 2
        padded = jnp.pad(jnp.where(mask[..., None], x, 0), ((0, 0), (reach, reach), (0, 0)))
        neighbours = jnp.concatenate([padded[:, tap : tap + length] for tap in range(self.kernel)], axis=-1)
        return product(neighbours, kernel.reshape(-1, self.channels), self.dtype) + bias.astype(self.dtype)


class Linear(nn.Module):
    """A pointwise map, [..., Din] -> [..., channels].

    Attributes:
      channels: width of the output.
      dtype: of the computation; parameters are float32.
    """

    channels: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., Din] -> [..., channels]."""
        kernel = self.param("kernel", he_uniform, (x.shape[-1], self.channels))
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        return product(x, kernel, self.dtype) + bias.astype(self.dtype)


def product(x: jax.Array, kernel: jax.Array, dtype: DTypeLike) -> jax.Array:
    """[..., Din] times [Din, Dout] in `dtype`, accumulated in float32."""
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    return jnp.matmul(x, kernel, precision="highest", preferred_element_type=jnp.float32).astype(dtype)


class BatchNorm(nn.Module):
    """Batch normalisation over all snippets of all videos on all devices.

    Sums and counts are reduced over devices before the division: flax's own layer
    averages the means of devices, which is wrong when they hold unequal numbers of snippets.
    As in PyTorch, the running variance is the unbiased one. Scale and bias start at 0
    (published), so every residual block starts as the identity.

    Attributes:
      momentum: weight of the new batch in the running statistics.
      epsilon: added to the variance.
      axis_name: the pmap axis to reduce over, None on one device.
    """

    momentum: float
    epsilon: float
    axis_name: str | None

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """[B, T, D] -> [B, T, D]; batch statistics when training, running ones otherwise."""
        dtype, x = x.dtype, x.astype(jnp.float32)
        width = x.shape[-1]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, width)
        running_var = self.variable("batch_stats", "var", jnp.ones, width)
        if train and not self.is_initializing():
            mean, var, count = self.batch_statistics(x, mask)
            unbiased = var * count / jnp.maximum(count - 1, 1)
            running_mean.value += self.momentum * (mean - running_mean.value)
            running_var.value += self.momentum * (unbiased - running_var.value)
        else:
            mean, var = running_mean.value, running_var.value
        scale = self.param("scale", nn.initializers.zeros, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        return ((x - mean) * (jax.lax.rsqrt(var + self.epsilon) * scale) + bias).astype(dtype)

    def batch_statistics(self, x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Mean [D] and biased variance [D] over the snippets of all devices, and their number."""
        mask = mask[..., None]
        count = self.all_devices(jnp.sum(mask, dtype=jnp.float32))
        count = jnp.maximum(count, 1)
        mean = self.all_devices(jnp.sum(x, axis=(0, 1), where=mask)) / count
        var = self.all_devices(jnp.sum(jnp.square(x - mean), axis=(0, 1), where=mask)) / count
        return mean, var, count

    def all_devices(self, x: jax.Array) -> jax.Array:
        """Sum over devices."""
        return x if self.axis_name is None else jax.lax.psum(x, self.axis_name)


class Dropout(nn.Module):
    """Dropout whose pattern belongs to the video, not to the device it sits on.

    Attributes:
      rate: share of the entries set to 0.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, rows: jax.Array | None) -> jax.Array:
        """[B, ...] -> [B, ...]; `rows` int [B] is each video's place in the global batch, None: no dropout."""
        if rows is None or self.rate == 0:
            return x
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), rows)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0)


def softmax_where(logits: jax.Array, where: jax.Array, axis: int) -> jax.Array:
    """Float32 softmax over the entries where `where` holds, 0 elsewhere and where nothing holds."""
    return jax.nn.softmax(logits.astype(jnp.float32), axis=axis, where=where)
