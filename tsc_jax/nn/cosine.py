"""Cosine scores of snippets against learnt centres, and the head that RSKP and MMSD share.

Letters: B videos, T snippets, E width of the embedding, C classes; class C is the background.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax.nn.layers import xavier_uniform
from tsc_jax.nn.pooling import weighted_sum


def unit(x: jax.Array) -> jax.Array:
    """`x` divided by its L2 norm along the last axis; a zero vector stays zero and gets no gradient."""
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return jnp.where(square > 0, x * jax.lax.rsqrt(jnp.where(square > 0, square, 1)), 0)


def cosine_scores(x: jax.Array, centres: jax.Array, scale: float) -> jax.Array:
    """`scale` times the cosine of every x [..., E] with every row of `centres` [K, E]: [..., K]."""
    return scale * jnp.einsum("...e,ke->...k", unit(x), unit(centres), precision="highest")


@struct.dataclass
class Scores:
    """The outputs of `cosine_head`."""

    cas: jax.Array  # [B, T, C + 1], scaled cosines with the class centres
    attention: jax.Array  # [B, T], class-agnostic, in (0, 1)
    class_attention: jax.Array  # [B, T, C + 1], in (0, 1)
    agnostic: jax.Array  # [B, C + 1], class logits of the features pooled by `attention`
    specific: jax.Array  # [B, C + 1], logit of each class from the features pooled by its own attention


class Centres(nn.Module):
    """The centres of the C + 1 classes [C + 1, E] and of the foreground [E]."""

    classes: int  # C

    @nn.compact
    def __call__(self, width: int) -> tuple[jax.Array, jax.Array]:
        """The foreground starts as minus the background's centre (published)."""
        centres = self.param("classes", xavier_uniform, (self.classes + 1, width))
        foreground = self.param("foreground", lambda _: -centres[-1])
        return centres, foreground


def cosine_head(x: jax.Array, mask: jax.Array, centres: jax.Array, foreground: jax.Array, scale: float) -> Scores:
    """Scores of the snippets x [B, T, E], and of the videos; mask is bool [B, T]."""
    cas = cosine_scores(x, centres, scale)
    attention = jax.nn.sigmoid(cosine_scores(x, foreground[None], scale)[..., 0])
    class_attention = jax.nn.sigmoid(cas)
    # The scale of the weights cancels in the cosine, so the sums are not divided.
    pooled = weighted_sum(attention[..., None], x, mask)
    pooled_by_class = weighted_sum(class_attention, x, mask)
    agnostic = cosine_scores(pooled[:, 0], centres, scale)
    specific = scale * jnp.sum(unit(pooled_by_class) * unit(centres)[None], axis=-1)
    return Scores(cas, attention, class_attention, agnostic, specific)
