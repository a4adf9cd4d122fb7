"""MMSD's network: three streams, each with centres of its own.

  RGB columns  -> first -> h_R --+--> second -> e_R -> rgb
                                 |
                                 +--> fusion -> e_P -> peer
                                 |
  flow columns -> first -> h_F --+--> second -> e_F -> flow

A stream scores its embeddings by their cosines with its centres (`nn.cosine.cosine_head`). One modality, or one joint
feature, has a single stream: first -> second -> joint.

Letters: B videos, T snippets, D width of the features, E width of the embeddings, C classes; class C is the
background.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from tsc_jax.method import Outputs
from tsc_jax.nn.cosine import Centres, Scores, cosine_head
from tsc_jax.nn.layers import Dropout, Linear, Numerics, xavier_uniform
from tsc_jax.nn.modalities import MODALITIES, split_modalities

STREAMS = {1: MODALITIES[1], 2: (*MODALITIES[2], "peer")}  # by number of modalities; the M streams of this method


class Layer(nn.Module):
    """Linear map, ReLU and dropout of every snippet."""

    channels: int  # E
    dropout: float
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, order: jax.Array | None) -> jax.Array:
        """[B, T, Din] -> [B, T, E]."""
        x = nn.relu(Linear(self.channels, self.numerics, xavier_uniform, name="linear")(x))
        return Dropout(self.dropout, name="dropout")(x, order)


class MMSD(nn.Module):
    """All streams."""

    classes: int  # C
    modalities: int  # 1, or 2: the first half of the columns is RGB, the second half optical flow
    embedding_width: int  # E
    dropout: float  # after each layer
    scale: float  # of every cosine
    numerics: Numerics  # of the layers; the heads are float32

    @nn.compact
    def __call__(self, features: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> dict[str, Scores]:
        """The scores of each stream from features [B, T, D] and mask [B, T]; no dropout where `order` is None."""
        layer = functools.partial(Layer, self.embedding_width, self.dropout, self.numerics)
        columns = split_modalities(jnp.where(mask[..., None], features, 0), self.modalities)
        hidden = {name: layer(name=f"{name}_first")(x, order) for name, x in columns.items()}
        embeddings = {name: layer(name=f"{name}_second")(h, order) for name, h in hidden.items()}
        if self.modalities == 2:
            both = jnp.concatenate(list(hidden.values()), axis=-1)
            embeddings["peer"] = layer(name="fusion")(both, order)

        def head(stream: str, x: jax.Array) -> Scores:
            centres = Centres(self.classes, name=f"{stream}_centres")(self.embedding_width)
            return cosine_head(x.astype(jnp.float32), mask, *centres, self.scale)

        return {stream: head(stream, x) for stream, x in embeddings.items()}


def make_network(model, classes: int, mapped: bool = False) -> MMSD:
    """Builds the network from `config.model`; for `mapped` see `layers.Numerics`."""
    return MMSD(
        classes=classes,
        modalities=model.modalities,
        embedding_width=model.embedding_width,
        dropout=model.dropout,
        scale=model.scale,
        numerics=Numerics(jnp.dtype(model.dtype), mapped),
    )


def stream_weights(model) -> dict[str, float]:
    """The weight of each stream at test time, from `config.model`; a stream that is alone has weight 1."""
    return {"joint": 1.0} if model.modalities == 1 else model.stream_weights.to_dict()


def fuse(streams: Mapping[str, Scores], weights: Mapping[str, float]) -> Outputs:
    """Weighted means over the streams; streams of weight 0 are not computed.

    "attention" [B, T]; "cas" [B, T, C + 1], the product of the mean attention and the mean class probabilities of each
    snippet; "class_scores" [B, C + 1], the mean class-agnostic probabilities of the video.
    """

    def mean(of_stream) -> jax.Array:
        return sum(weight * of_stream(streams[name]) for name, weight in weights.items() if weight)

    attention = mean(lambda scores: scores.attention)
    probabilities = mean(lambda scores: jax.nn.softmax(scores.cas))
    class_scores = mean(lambda scores: jax.nn.softmax(scores.agnostic))
    return Outputs(
        {"cas": attention[..., None] * probabilities, "attention": attention}, {"class_scores": class_scores}
    )
