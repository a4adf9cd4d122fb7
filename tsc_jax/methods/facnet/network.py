"""FAC-Net's network for one modality: three branches on one embedding.

  features -> embedding z -+-> class scores S -> class attention A -+-> pooled z -> class-wise logits
                           |                                       +-> pooled S -> instance logits
                           +-> foreground scores G -> attention F ---> pooled z -> class-agnostic logits

Scores are scaled cosines of z with the centres of the C + 1 classes and of the foreground. Attentions are softmaxes of
the scores over the time of the video, one per temperature. The class-wise branch compares the features of each class
with the foreground's centre, the class-agnostic branch the features of the foreground with each class's centre.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax.nn.cosine import Centres, cosine_scores
from tsc_jax.nn.layers import Dropout, Linear, Numerics, softmax_where, xavier_uniform
from tsc_jax.nn.pooling import weighted_sum


@struct.dataclass
class Outputs:
    """The outputs for B videos, float32; R is the number of temperatures. Padded snippets are 0."""

    embedding: jax.Array  # z, [B, T, E]
    scores: jax.Array  # S, [B, T, C + 1]
    foreground: jax.Array  # G, [B, T]
    class_attention: jax.Array  # A, [B, R, T, C + 1]
    foreground_attention: jax.Array  # F, [B, R, T]
    class_wise: jax.Array  # class logits of the three branches, [B, C + 1]
    class_agnostic: jax.Array
    instances: jax.Array


class FACNet(nn.Module):
    """The whole network of one modality."""

    classes: int  # C; class C is the background
    channels: int  # E, width of the embedding
    dropout: float  # after each layer of the embedding
    scale: float  # s, of every cosine
    logit_factor: float  # of the class logits, besides the scale
    temperatures: tuple[float, ...]  # R factors of the scores in the attentions
    numerics: Numerics  # of the embedding's layers; the branches are float32

    @nn.compact
    def __call__(
        self,
        features: jax.Array,
        mask: jax.Array,
        order: jax.Array | None = None,
        keep: tuple[jax.Array, jax.Array] | None = None,
    ) -> Outputs:
        """Snippet features [B, T, D] and mask [B, T] -> Outputs.

        `order`: see `nn.layers`. `keep`: which entries the two dropouts keep, bool [B, T, D] and [B, T, E]; None draws
        them.
        """
        z = self.embed(features, order, keep)
        # Biases make an embedding of padded snippets as well.
        z = jnp.where(mask[..., None], z.astype(jnp.float32), 0)
        centres, foreground_centre = Centres(self.classes, name="centres")(self.channels)
        scores = cosine_scores(z, centres, self.scale)
        foreground = cosine_scores(z, foreground_centre[None], self.scale)[..., 0]

        def at(temperature: jax.Array) -> tuple[jax.Array, ...]:
            """The attentions and the logits of one temperature."""
            class_attention = softmax_where(temperature * scores, mask[..., None], axis=1)
            attention = softmax_where(temperature * foreground, mask, axis=1)
            of_classes = weighted_sum(class_attention, z, mask)
            of_foreground = weighted_sum(attention[..., None], z, mask)[:, 0]
            class_wise = cosine_scores(of_classes, foreground_centre[None], self.scale)[..., 0]
            class_agnostic = cosine_scores(of_foreground, centres, self.scale)
            instances = jnp.sum(class_attention * scores, axis=1)
            return class_attention, attention, class_wise, class_agnostic, instances

        class_attention, attention, *logits = jax.vmap(at, out_axes=1)(jnp.array(self.temperatures))
        logits = (self.logit_factor * jnp.mean(each, axis=1) for each in logits)
        return Outputs(z, scores, foreground, class_attention, attention, *logits)

    def embed(self, x: jax.Array, order: jax.Array | None, keep: tuple[jax.Array, jax.Array] | None) -> jax.Array:
        """[B, T, D] -> [B, T, E]; the hidden layer is as wide as the features."""
        for layer, (name, channels) in enumerate((("hidden", x.shape[-1]), ("embedding", self.channels))):
            x = nn.relu(Linear(channels, self.numerics, xavier_uniform, name=name)(x))
            if keep is None:
                x = Dropout(self.dropout, name=f"{name}_dropout")(x, order)
            else:
                x = jnp.where(keep[layer], x / (1 - self.dropout), 0)
        return x


def make_network(model, classes: int, mapped: bool = False) -> FACNet:
    """Builds the network of one modality from `config.model`; for `mapped` see `layers.Numerics`."""
    return FACNet(
        classes=classes,
        channels=model.embedding_width,
        dropout=model.dropout,
        scale=model.scale,
        logit_factor=model.logit_factor,
        temperatures=tuple(model.temperatures),
        numerics=Numerics(jnp.dtype(model.dtype), mapped),
    )
