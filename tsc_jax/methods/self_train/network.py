"""The students' networks: a small temporal convolutional stem, with one output or with a pyramid behind it."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

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


class Stemmed(nn.Module):
    """What the networks of all students begin with."""

    classes: int  # C
    channels: int
    blocks: int  # residual blocks after the first layer
    input_dropout: float
    dropout: float  # after the first layer
    numerics: Numerics

    def stem(self, x: jax.Array, mask: jax.Array, order: jax.Array | None) -> jax.Array:
        """[B, T, D] -> [B, T, channels]; `order` as in `nn.layers`."""
        x = Dropout(self.input_dropout)(x, order)
        x = Dropout(self.dropout)(Layer(self.channels, self.numerics)(x, mask), order)
        for _ in range(self.blocks):
            x = x + Layer(self.channels, self.numerics)(x, mask)
        return x


class SnippetNetwork(Stemmed):
    """Class logits of every snippet from standardized features."""

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> jax.Array:
        """[B, T, D] -> float32 [B, T, C + 1], background last."""
        x = self.stem(x, mask, order)
        return TemporalConv(self.classes + 1, 3, self.numerics)(x, mask).astype(jnp.float32)


class Cells(NamedTuple):
    """What a pyramid says at one level, whose N cells hold 2^level snippets each."""

    logits: jax.Array  # float32 [B, N, C]
    distances: jax.Array  # float32 [B, N, 2], from the middle of the cell to start and end, in snippets, 0 or more
    mask: jax.Array  # bool [B, N], whether any snippet of the cell exists


class PyramidNetwork(Stemmed):
    """Class logits and distances to start and end, for cells of 1, 2, 4 ... snippets."""

    levels: int = 1
    prior: float = 0.5  # class score of every cell before training

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> list[Cells]:
        """Standardized features [B, T, D] -> the cells of each level; the last cells may reach beyond T."""
        widest = 2 ** (self.levels - 1)
        x, mask = whole_cells(self.stem(x, mask, order), widest), whole_cells(mask, widest)
        of_classes = Head(self.channels, self.classes, self.numerics, np.log(self.prior / (1 - self.prior)))
        of_ends, cells = Head(self.channels, 2, self.numerics), []
        for level in range(self.levels):
            if level:
                x, mask = pool(x, mask)
            x = x + Layer(self.channels, self.numerics)(x, mask)
            cells.append(Cells(of_classes(x, mask), 2.0**level * nn.softplus(of_ends(x, mask)), mask))
        return cells


class Head(nn.Module):
    """A layer and an output, the same for all levels."""

    channels: int
    outputs: int
    numerics: Numerics
    bias: float = 0.0  # of the outputs, before training

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, N, channels] -> float32 [B, N, outputs]."""
        x = Layer(self.channels, self.numerics)(x, mask)
        start = nn.initializers.constant(self.bias)
        return TemporalConv(self.outputs, 3, self.numerics, bias_init=start)(x, mask).astype(jnp.float32)


def whole_cells(array: jax.Array, width: int, value: float = 0) -> jax.Array:
    """[B, T, ...] -> [B, T', ...] with `value` at the end, where T' is the next multiple of `width` snippets."""
    missing = -array.shape[1] % width
    return jnp.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2), constant_values=value)


def pool(x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The larger of every two neighbours that exist: [B, 2N, K], bool [B, 2N] -> [B, N, K], bool [B, N]."""
    pairs = mask.reshape(len(mask), -1, 2)
    exists = pairs.any(axis=2)
    x = jnp.where(pairs[..., None], x.reshape(*pairs.shape, -1), jnp.finfo(x.dtype).min)
    return jnp.where(exists[..., None], x.max(axis=2), 0), exists


def stem_settings(student, classes: int, mapped: bool) -> dict:
    """The fields of `Stemmed` for `config.student`; `mapped` as in `methods.make`."""
    names = ("channels", "blocks", "input_dropout", "dropout")
    numerics = Numerics(jnp.dtype(student.dtype), mapped)
    return {"classes": classes, "numerics": numerics} | {name: student[name] for name in names}
