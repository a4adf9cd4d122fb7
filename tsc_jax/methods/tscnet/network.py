"""TSC-Net (Lin et al., 2025) as in the paper's figure.

  features -> MFIP -+- pyramid features -> TCE -> head -+
                    |                                   +-> fusion (test time only)
                    +- residual stream  -> DSA -> head -+
                                            |
                                      semantics bank

All modules are pure: the bank and the batch statistics come in and go out. MFIP, TCE and DSA can each be switched off
(`enabled`); then they return their input. `order` int [B] is each video's place in the global batch; where it is given,
dropout is on.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax.nn.layers import BatchNorm, Dropout, Linear, Numerics, TemporalConv, product, softmax_where

HEAD_KERNEL = 3  # taps of the convolutions of a head; paper
HEAD_DEPTH = 2  # of them, at most, one after the other; paper


@struct.dataclass
class Branch:
    """The outputs of one branch: features [B, T, D], CAS [B, T, C + 1], attention [B, T]."""

    features: jax.Array
    cas: jax.Array
    attention: jax.Array


@struct.dataclass
class Outputs:
    """The pyramid features [B, T, D] and the two branches."""

    pyramid: jax.Array
    temporal: Branch
    semantic: Branch


def fuse(outputs: Outputs, weight: float) -> tuple[jax.Array, jax.Array]:
    """The fused CAS [B, T, C + 1] and attention [B, T]; `weight` is the temporal branch's (test time only)."""
    temporal, semantic = outputs.temporal, outputs.semantic
    cas = weight * temporal.cas + (1 - weight) * semantic.cas
    attention = weight * temporal.attention + (1 - weight) * semantic.attention
    return cas, attention


def fuse_features(outputs: Outputs, weight: float) -> jax.Array:
    """The fused features [B, T, D], as the bank's rule "ema" sees them."""
    return weight * outputs.temporal.features + (1 - weight) * outputs.semantic.features


class MFIP(nn.Module):
    """Multi-scale features integration pyramid."""

    enabled: bool  # whether it is part of the network
    kernels: tuple[int, int, int]  # taps of the three levels, in snippets
    fuse_kernel: int  # taps of the convolution that joins them
    slope: float  # of the LeakyReLU
    numerics: Numerics  # see `layers.Numerics`

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, T, D] -> pyramid features and residual stream, both [B, T, D]."""
        x = x.astype(self.numerics.dtype)
        if not self.enabled:
            return x, x
        width = x.shape[-1]
        level1, level2, level3 = (
            TemporalConv(width, kernel, self.numerics, name=f"level{i}") for i, kernel in enumerate(self.kernels, 1)
        )
        p1 = level1(x, mask)
        f1 = x + p1
        p2 = level2(f1, mask)
        f2 = f1 + p2
        p3 = level3(f2, mask)
        levels = jnp.concatenate([p1, p2, p3], axis=-1)
        fused = TemporalConv(width, self.fuse_kernel, self.numerics, name="fuse")(levels, mask)
        return nn.leaky_relu(fused, self.slope), f2


class TCE(nn.Module):
    """Temporal correlation enhancement: the snippets of one video attend to each other."""

    enabled: bool  # whether it is part of the network
    width: int  # D
    heads: int  # attention heads, contiguous blocks of D / heads channels
    make_norm: type[BatchNorm]  # makes the batch normalisation
    numerics: Numerics  # see `layers.Numerics`

    def setup(self) -> None:
        """The parts, used by `project` and by `enhance`."""
        self.query, self.key, self.value, self.out = (Linear(self.width, self.numerics) for _ in range(4))
        self.norm = self.make_norm()

    def __call__(self, m: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """[B, T, D] -> [B, T, D]."""
        if not self.enabled:
            return m
        q, k, v = self.project(m)
        weights = softmax_where(attention_logits(q, k), mask[:, None, None, :], axis=-1)
        return self.enhance(m, product("bhts,bhse->bhte", self.numerics.dtype, weights, v), mask, train)

    def project(self, m: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """[B, T, D] -> queries, keys and values [B, heads, T, D / heads]."""

        def split(x: jax.Array) -> jax.Array:
            return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)

        if not self.enabled:
            return (split(m),) * 3
        return split(self.query(m)), split(self.key(m)), split(self.value(m))

    def enhance(self, m: jax.Array, mixed: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """`m` [B, T, D] and what its snippets read from all of them [B, heads, T, D / heads] -> [B, T, D]."""
        if not self.enabled:
            return m
        joined = mixed.swapaxes(1, 2).reshape(m.shape)
        return m + self.norm(self.out(joined), mask, train)


def attention_logits(q: jax.Array, k: jax.Array) -> jax.Array:
    """Queries [B, heads, T, E] and keys [B, heads, S, E] -> scaled float32 logits [B, heads, T, S]."""
    return product("bhte,bhse->bhts", q.dtype, q, k) * q.shape[-1] ** -0.5


class DSA(nn.Module):
    """Dataset-wide semantic awareness: every snippet attends to the rows of the semantics bank."""

    enabled: bool  # whether it is part of the network
    heads: int  # attention heads
    head_width: int  # channels of a head, for keys and values alike
    bank_dropout: float  # on the attention weights over bank rows
    dropout: float  # everywhere else
    norm: type[BatchNorm]  # makes the batch normalisations
    numerics: Numerics  # see `layers.Numerics`

    @nn.compact
    def __call__(
        self, f: jax.Array, bank_rows: jax.Array, mask: jax.Array, train: bool, order: jax.Array | None
    ) -> jax.Array:
        """Snippets [B, T, D] and bank rows [K, D] -> [B, T, D]."""
        if not self.enabled:
            return f
        width = f.shape[-1]

        def drop(x: jax.Array) -> jax.Array:
            return Dropout(self.dropout)(x, order)

        a = f + drop(self.norm(name="norm_attention")(self.attend(f, bank_rows, order), mask, train))
        a = f + drop(self.norm(name="norm_residual")(a, mask, train))
        hidden = drop(nn.relu(Linear(width, self.numerics, name="feedforward1")(a)))
        hidden = drop(Linear(width, self.numerics, name="feedforward2")(hidden))
        return a + self.norm(name="norm_feedforward")(hidden, mask, train)

    def attend(self, f: jax.Array, bank_rows: jax.Array, order: jax.Array | None) -> jax.Array:
        """What each snippet [B, T, D] reads from the bank [K, D]: [B, T, D].

        How much it attends to each row is sown as "bank_attention" [B, T, heads, K].
        """
        inner = self.heads * self.head_width

        def split(x: jax.Array) -> jax.Array:
            return x.reshape(*x.shape[:-1], self.heads, self.head_width)

        q = split(Linear(inner, self.numerics, name="query")(f))
        k = split(Linear(inner, self.numerics, name="key")(bank_rows))
        v = split(Linear(inner, self.numerics, name="value")(bank_rows))
        logits = product("bthe,khe->bthk", self.numerics.dtype, q, k)
        # The published code divides by sqrt(heads) as well as by sqrt(head width).
        weights = jax.nn.softmax(logits * inner**-0.5)
        self.sow("intermediates", "bank_attention", weights)
        weights = Dropout(self.bank_dropout)(weights, order)
        mixed = product("bthk,khe->bthe", self.numerics.dtype, weights, v)
        return Linear(f.shape[-1], self.numerics, name="out")(mixed.reshape(*f.shape[:2], inner))


class Head(nn.Module):
    """Class activation sequence (CAS) and attention of one branch."""

    classes: int  # C; the CAS has one entry more, for background
    attention_channels: int  # width of the attention's hidden layers
    classifier_dropout: float  # before the class logits
    attention_dropout: float  # inside the attention, on its logit too (published)
    slope: float  # of the LeakyReLUs, the one on the class logits too (published)
    numerics: Numerics  # see `layers.Numerics`; CAS and attention are float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, order: jax.Array | None) -> Branch:
        """Branch features [B, T, D] -> Branch."""

        def block(x: jax.Array, channels: int, name: str) -> jax.Array:
            return nn.leaky_relu(TemporalConv(channels, HEAD_KERNEL, self.numerics, name=name)(x, mask), self.slope)

        hidden = Dropout(self.classifier_dropout)(block(x, x.shape[-1], "class_hidden"), order)
        cas = Linear(self.classes + 1, self.numerics, name="class_logits")(hidden).astype(jnp.float32)

        hidden = block(x, self.attention_channels, "attention_hidden1")
        hidden = Dropout(self.attention_dropout)(hidden, order)
        hidden = block(hidden, self.attention_channels, "attention_hidden2")
        logit = Linear(1, self.numerics, name="attention_logit")(hidden).astype(jnp.float32)
        attention = nn.sigmoid(Dropout(self.attention_dropout)(logit, order))[..., 0]
        return Branch(x.astype(jnp.float32), nn.leaky_relu(cas, self.slope), attention)


class TSCNet(nn.Module):
    """The whole network; the attributes are those of its parts (see `make_network`)."""

    mfip: MFIP
    tce: TCE
    dsa: DSA
    temporal_head: Head
    semantic_head: Head

    def __call__(
        self,
        features: jax.Array,
        bank_rows: jax.Array,
        mask: jax.Array,
        train: bool = False,
        order: jax.Array | None = None,
    ) -> Outputs:
        """Snippet features [B, T, D], bank rows [K, D] and mask [B, T] -> Outputs, all float32."""
        m, f = self.mfip(features, mask)
        t = self.tce(m, mask, train)
        s = self.dsa(f, bank_rows, mask, train, order)
        return self.heads(m, t, s, mask, order)

    def heads(self, m: jax.Array, t: jax.Array, s: jax.Array, mask: jax.Array, order: jax.Array | None) -> Outputs:
        """Pyramid, temporal and semantic features [B, T, D] -> Outputs."""
        return Outputs(
            pyramid=m.astype(jnp.float32),
            temporal=self.temporal_head(t, mask, order),
            semantic=self.semantic_head(s, mask, order),
        )

    def project(self, features: jax.Array, mask: jax.Array) -> tuple[jax.Array, ...]:
        """The first half of a chunk [B, T, D] of a video: m, f, and the queries, keys and values of TCE."""
        m, f = self.mfip(features, mask)
        return m, f, *self.tce.project(m)

    def finish(self, m: jax.Array, f: jax.Array, mixed: jax.Array, bank_rows: jax.Array, mask: jax.Array) -> Outputs:
        """The second half, given what the chunk's snippets read from the whole video."""
        t = self.tce.enhance(m, mixed, mask, train=False)
        return self.heads(m, t, self.dsa(f, bank_rows, mask, train=False, order=None), mask, order=None)


def make_network(model, classes: int, width: int, axis: str | None = None, mapped: bool = False) -> TSCNet:
    """Builds TSC-Net for C classes and width D from `config.model`, checked by `method.check_model`.

    Batch statistics are reduced over the pmap axis `axis`; for `mapped` see `layers.Numerics`.
    """
    numerics = Numerics(jnp.dtype(model.dtype), mapped)
    norm = functools.partial(BatchNorm, model.norm_momentum, model.norm_epsilon, axis)
    head = functools.partial(
        Head,
        classes=classes,
        attention_channels=max(1, int(width * model.attention_channels)),
        classifier_dropout=model.classifier_dropout,
        attention_dropout=model.attention_dropout,
        slope=model.slope,
        numerics=numerics,
    )
    return TSCNet(
        mfip=MFIP(model.mfip, tuple(model.pyramid_kernels), model.pyramid_fuse_kernel, model.slope, numerics),
        tce=TCE(model.tce, width, model.tce_heads, norm, numerics),
        dsa=DSA(
            model.dsa, model.dsa_heads, model.dsa_head_width, model.dsa_bank_dropout, model.dsa_dropout, norm, numerics
        ),
        temporal_head=head(),
        semantic_head=head(),
    )


def apply(network: TSCNet, variables, *inputs, **options):
    """Applies the network, or one of its methods, with the variables of `Method.variables`; the bank is an input."""
    return network.apply({name: variables[name] for name in ("params", "batch_stats")}, *inputs, **options)


def reach(model) -> int:
    """How many snippets before and after it an output depends on through convolutions; `config.model`."""
    pyramid = sum(kernel // 2 for kernel in (*model.pyramid_kernels, model.pyramid_fuse_kernel))
    return pyramid + HEAD_DEPTH * (HEAD_KERNEL // 2)
