"""The student: a small temporal convolutional network that classifies every snippet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tsc_jax.nn.layers import Dropout, Numerics, TemporalConv


class Layer(nn.Module):
    """A convolution over three snippets, layer normalisation, ReLU."""

    channels: int
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, Din] -> [B, T, channels]."""
        x = TemporalConv(self.channels, 3, self.numerics)(x, mask)
        return nn.relu(nn.LayerNorm()(x.astype(jnp.float32)))


class SnippetStudent(nn.Module):
    """Class logits of every snippet from standardized features."""

    classes: int  # C
    channels: int
    blocks: int  # residual blocks after the first layer
    input_dropout: float
    dropout: float  # after the first layer
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> jax.Array:
        """[B, T, D] -> float32 [B, T, C + 1], background last; `order` as in `nn.layers`."""
        x = Dropout(self.input_dropout)(x, order)
        x = Dropout(self.dropout)(Layer(self.channels, self.numerics)(x, mask), order)
        for _ in range(self.blocks):
            x = x + Layer(self.channels, self.numerics)(x, mask)
        return TemporalConv(self.classes + 1, 3, self.numerics)(x, mask).astype(jnp.float32)


def make_network(student, classes: int, mapped: bool) -> SnippetStudent:
    """The network of `config.student`; `mapped` as in `methods.make`."""
    return SnippetStudent(
        classes,
        student.channels,
        student.blocks,
        student.input_dropout,
        student.dropout,
        Numerics(jnp.dtype(student.dtype), mapped),
    )
