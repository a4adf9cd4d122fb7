"""GRN for one stream (RGB, optical flow or a joint feature), as in figure 2 of the paper.

  features -+- class module -> scores s -------------+-> solve -> refined scores s* -> mean over time -> video scores v
            +- graph module -> embedding -> affinities -+

Letters: B videos, T snippets, D width, C classes, E width of the embedding. `mask` is boolean [B, T].
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax.nn import graph
from tsc_jax.nn.layers import BatchNorm, Linear, Numerics, TemporalConv, pytorch_uniform, uniform_within
from tsc_jax.nn.pooling import mean_of_largest, mean_over_time


@struct.dataclass
class Stream:
    """The outputs for one stream, float32, 0 where no snippet exists."""

    scores: jax.Array  # s [B, T, C], in (0, 1)
    embedding: jax.Array  # [B, T, E]; the features themselves without a graph module
    affinity: jax.Array  # A [B, T, T]
    refined: jax.Array  # s* [B, T, C]
    video: jax.Array  # v [B, C]


class ClassModule(nn.Module):
    """Two layers that score every snippet for every class."""

    classes: int  # C
    hidden: int
    bias: bool  # whether the last layer has one
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, D] -> scores float32 [B, T, C]."""
        linear = functools.partial(Linear, numerics=self.numerics, kernel_init=pytorch_uniform)
        hidden = linear(self.hidden, bias_init=uniform_within(x.shape[-1] ** -0.5), name="hidden")
        logits = linear(self.classes, bias_init=uniform_within(self.hidden**-0.5), use_bias=self.bias, name="logits")
        scores = nn.sigmoid(logits(nn.relu(hidden(x))).astype(jnp.float32))
        return jnp.where(mask[..., None], scores, 0)


class GraphModule(nn.Module):
    """Three convolutions over time that embed the snippets."""

    channels: tuple[int, ...]  # the last one is E
    kernel: int  # taps, in snippets
    make_norm: type[nn.Module]  # makes the normalisation of a layer
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """[B, T, D] -> embedding float32 [B, T, E]."""
        for layer, channels in enumerate(self.channels, 1):
            convolve = TemporalConv(
                channels, self.kernel, self.numerics, pytorch_uniform, use_bias=False, name=f"conv{layer}"
            )
            x = nn.relu(self.make_norm(name=f"norm{layer}")(convolve(x, mask), mask, train))
        return jnp.where(mask[..., None], x.astype(jnp.float32), 0)


class VideoNorm(nn.Module):
    """Normalisation by the statistics of each video, in training and at test time."""

    epsilon: float  # added to the variance

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """[B, T, D] -> [B, T, D]."""
        del train
        dtype, x, mask = x.dtype, x.astype(jnp.float32), mask[..., None]
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        count = jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1)
        x = x - jnp.sum(x, axis=1, where=mask, keepdims=True) / count
        variance = jnp.sum(jnp.square(x), axis=1, where=mask, keepdims=True) / count
        return (x * jax.lax.rsqrt(variance + self.epsilon) * scale[None, None] + bias[None, None]).astype(dtype)


class GRN(nn.Module):
    """The network of one stream (see `make_network`)."""

    class_module: ClassModule
    graph_module: GraphModule | None  # None: the affinities are those of the features
    bandwidth: str  # see `graph.bandwidths`
    refine: bool  # whether to refine the scores; the affinities are learnt either way
    strength: float  # of the refinement, see `graph.refine`
    laplacian: str  # see `graph.refine`
    pool_ratio: int  # video scores are means of the T // pool_ratio largest refined scores; 0: of all

    def __call__(self, x: jax.Array, mask: jax.Array, train: bool = False) -> Stream:
        """Features [B, T, D] and mask [B, T] -> Stream."""
        x = jnp.where(mask[..., None], x, 0)
        scores = self.class_module(x, mask)
        embedding = x if self.graph_module is None else self.graph_module(x, mask, train)
        affinity = graph.affinities(embedding, mask, self.bandwidth)
        refined = scores
        if self.refine:
            refined = graph.refine(affinity, scores, mask, self.strength, self.laplacian)
        if self.pool_ratio:
            video = mean_of_largest(refined, mask, self.pool_ratio)
        else:
            video = mean_over_time(refined, mask[..., None])
        return Stream(scores, embedding, affinity, refined, video)


def make_network(config, classes: int, axis: str | None = None, mapped: bool = False) -> GRN:
    """Builds the network of one stream for C classes from `config.model` and `config.graph`, checked by `method`.

    Batch statistics are reduced over the pmap axis `axis`; for `mapped` see `layers.Numerics`.
    """
    model, numerics = config.model, Numerics(jnp.dtype(config.model.dtype), mapped)
    norm = functools.partial(BatchNorm, model.norm_momentum, model.norm_epsilon, axis, scale_init=nn.initializers.ones)
    if model.norm == "video":
        norm = functools.partial(VideoNorm, model.norm_epsilon)
    embed = GraphModule(tuple(model.channels), model.kernel, norm, numerics) if model.embedding else None
    return GRN(
        class_module=ClassModule(classes, model.hidden, model.class_bias, numerics),
        graph_module=embed,
        pool_ratio=model.pool_ratio if model.pool == "topk" else 0,
        **config.graph,
    )
