"""RSKP's network: an embedding, prototypes per video, a random walk, and one head for all branches.

Letters: B videos, T snippets, D width of the features, E width of the embedding, K prototypes, C classes; class C is
the background.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax.methods.rskp.walk import expectation_maximization, walk
from tsc_jax.nn.cosine import Centres, Scores, cosine_head, cosine_scores
from tsc_jax.nn.layers import Dropout, Linear, Numerics, xavier_uniform


@struct.dataclass
class Branches:
    """What the network computes of the snippets of each video."""

    prototypes: jax.Array  # [B, K, E], after EM
    prototype_scores: jax.Array  # [B, K, C + 1], class probabilities of the prototypes
    walked: jax.Array  # [B, T, E], the snippets after the walk with the video's own prototypes
    main: Scores  # of the snippets
    intra: Scores  # of the snippets after the walk


class RSKP(nn.Module):
    """Embeds snippets, and scores them before and after the random walk."""

    classes: int  # C
    width: int  # E
    prototypes: int  # K
    em_rounds: int
    assignment_scale: float  # of the cosines of snippets and prototypes
    walk_weight: float
    scale: float  # of the cosines of snippets and class centres
    dropout: float
    numerics: Numerics

    def setup(self) -> None:
        """Makes the layers."""
        self.embedding = Linear(self.width, self.numerics, xavier_uniform)
        self.embedding_dropout = Dropout(self.dropout)
        self.first_prototypes = self.param("prototypes", xavier_uniform, (self.prototypes, self.width))
        self.centres = Centres(self.classes)

    def __call__(self, features: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> Branches:
        """Features [B, T, D], mask bool [B, T]; no dropout where `order` is None."""
        return self.branches(self.embed(features, mask, order), mask)

    def embed(self, features: jax.Array, mask: jax.Array, order: jax.Array | None = None) -> jax.Array:
        """The embedded snippets x [B, T, E], which all else is computed from."""
        x = nn.relu(self.embedding(jnp.where(mask[..., None], features, 0)).astype(jnp.float32))
        return jnp.where(mask[..., None], self.embedding_dropout(x, order), 0)

    def branches(self, x: jax.Array, mask: jax.Array) -> Branches:
        """The main branch, and the intra-video branch with prototypes of the video itself."""
        prototypes, _ = expectation_maximization(self.first_prototypes, x, mask, self.assignment_scale, self.em_rounds)
        centres, _ = self.centres(self.width)
        prototype_scores = jax.nn.softmax(cosine_scores(prototypes, centres, self.scale))
        walked = self.walk(x, mask, prototypes, jnp.ones(prototypes.shape[:2], bool))
        return Branches(prototypes, prototype_scores, walked, self.head(x, mask), self.head(walked, mask))

    def inter(self, x: jax.Array, mask: jax.Array, prototypes: jax.Array, valid: jax.Array) -> Scores:
        """The inter-video branch, with `valid` [B, K] prototypes [B, K, E] of several videos."""
        return self.head(self.walk(x, mask, prototypes, valid), mask)

    def walk(self, x: jax.Array, mask: jax.Array, prototypes: jax.Array, valid: jax.Array) -> jax.Array:
        """The snippets [B, T, E] after the random walk."""
        return walk(x, mask, prototypes, valid, self.assignment_scale, self.walk_weight)

    def head(self, x: jax.Array, mask: jax.Array) -> Scores:
        """Scores of the snippets x [B, T, E] and of the videos."""
        return cosine_head(x, mask, *self.centres(self.width), self.scale)


def make_network(settings, classes: int, mapped: bool = False) -> RSKP:
    """The network of `config.model`; for `mapped` see `methods.make`."""
    keys = ("prototypes", "em_rounds", "assignment_scale", "walk_weight", "scale", "dropout")
    return RSKP(
        classes=classes,
        width=settings.embedding_width,
        numerics=Numerics(jnp.dtype(settings.dtype), mapped),
        **{key: settings[key] for key in keys},
    )


def fuse(main: Scores, intra: Scores, weight: float) -> tuple[jax.Array, jax.Array]:
    """What localization takes: class scores of the snippets [B, T, C + 1] and of the videos [B, C + 1].

    `weight` is the share of the main branch; its attention alone weighs the snippets.
    """

    def mixed(one: jax.Array, other: jax.Array) -> jax.Array:
        return weight * jax.nn.softmax(one) + (1 - weight) * jax.nn.softmax(other)

    return main.attention[..., None] * mixed(main.cas, intra.cas), mixed(main.agnostic, intra.agnostic)
