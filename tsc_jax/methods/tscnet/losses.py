"""The losses of TSC-Net, per branch, and their published sum.

Every loss gives one value per video (or per pair of videos); `loss_terms` turns
them into sums and counts. Rows without a snippet (padding of a batch) count for nothing.
All of it in float32. `mask` is boolean [B, T], `labels` boolean [B, C], `paired`
boolean [B // 2]: whether rows 2p and 2p + 1 are a pair that shares a class.
"""

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.method import Term
from tsc_jax.methods.tscnet.network import Branch, Outputs
from tsc_jax.nn.layers import softmax_where
from tsc_jax.nn.losses import label_cross_entropy
from tsc_jax.nn.pooling import mean_of_largest, mean_over_time


def suppress_background(cas: jax.Array, attention: jax.Array) -> jax.Array:
    """The CAS [B, T, C+1] drawn towards each snippet's own minimum where attention [B, T] is low."""
    low = jnp.min(cas, axis=-1, keepdims=True)
    return attention[..., None] * (cas - low) + low


def mil(
    cas: jax.Array, labels: jax.Array, mask: jax.Array, background: bool, ratio: int, smoothing: float
) -> jax.Array:
    """Multiple-instance loss [B]: cross entropy of the pooled CAS against labels with or without background."""
    pooled = mean_of_largest(cas, mask, ratio)
    return label_cross_entropy(pooled, labels, background=background, smoothing=smoothing)


def guide(cas: jax.Array, attention: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over snippets of |1 - attention - probability of background|, [B]."""
    background = jax.nn.softmax(cas)[..., -1]
    return mean_over_time(jnp.abs(1 - attention - background), mask)


def reconstruction(features: jax.Array, pyramid: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean squared distance of the semantic features from the pyramid's [B, T, D] -> [B]."""
    return mean_over_time(jnp.mean(jnp.square(features - pyramid), axis=-1), mask)


def contrastive(
    branch: Branch, labels: jax.Array, mask: jax.Array, paired: jax.Array, margin: float
) -> tuple[jax.Array, jax.Array]:
    """Co-activity loss of neighbouring rows: [P] sums over shared classes and [P] numbers of those.

    For a class that both videos of a pair contain, their high-activation features must be
    closer to each other (cosine distance) than either is to the other's low-activation feature.
    """
    pairs = 2 * len(paired)
    cas = suppress_background(branch.cas, branch.attention)[:pairs]
    mask = mask[:pairs, :, None]
    features = jnp.where(mask, branch.features[:pairs], 0)
    share = softmax_where(cas, mask, axis=1)
    others = jnp.sum(mask, axis=1, keepdims=True) - 1
    rest = jnp.where(mask & (others > 0), 1 - share, 0) / jnp.maximum(others, 1)
    high, low = (jnp.einsum("btd,btc->bcd", features, w[..., :-1], precision="highest") for w in (share, rest))
    apart = cosine_distance(high[0::2], high[1::2])
    first = jax.nn.relu(apart - cosine_distance(high[0::2], low[1::2]) + margin)
    second = jax.nn.relu(apart - cosine_distance(high[1::2], low[0::2]) + margin)
    shared = labels[0:pairs:2] & labels[1:pairs:2] & paired[:, None]
    return jnp.sum((first + second) / 2, axis=-1, where=shared), jnp.sum(shared, axis=-1)


def cosine_distance(u: jax.Array, v: jax.Array) -> jax.Array:
    """1 - cosine over the last axis; 1, with no gradient, where a vector is 0 and has no direction."""
    u_square, v_square = (jnp.sum(jnp.square(x), axis=-1) for x in (u, v))
    defined = (u_square > 1e-16) & (v_square > 1e-16)
    norms = jnp.sqrt(jnp.where(defined, u_square, 1)) * jnp.sqrt(jnp.where(defined, v_square, 1))
    return 1 - jnp.where(defined, jnp.sum(u * v, axis=-1) / norms, 0)


def loss_terms(outputs: Outputs, labels: jax.Array, mask: jax.Array, paired: jax.Array, settings) -> dict[str, Term]:
    """Every term of the loss by its name, "temporal/mil" for example; `settings` is `config.loss`."""
    exists = jnp.any(mask, axis=1)

    def over_videos(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.sum(values, where=exists), jnp.sum(exists, dtype=jnp.float32)

    sums = {}
    for name, branch in (("temporal", outputs.temporal), ("semantic", outputs.semantic)):
        suppressed = suppress_background(branch.cas, branch.attention)
        how = {"ratio": settings.topk_ratio, "smoothing": settings.label_smoothing}
        of_pairs, shared = contrastive(branch, labels, mask, paired, settings.margin)
        sums |= {
            f"{name}/mil": over_videos(mil(branch.cas, labels, mask, background=True, **how)),
            f"{name}/mil_suppressed": over_videos(mil(suppressed, labels, mask, background=False, **how)),
            f"{name}/guide": over_videos(guide(branch.cas, branch.attention, mask)),
            f"{name}/contrastive": (jnp.sum(of_pairs), jnp.sum(shared).astype(jnp.float32)),
        }
    sums["semantic/reconstruction"] = over_videos(reconstruction(outputs.semantic.features, outputs.pyramid, mask))
    return {name: Term(*each, settings.weights[name.split("/")[1]]) for name, each in sums.items()}


def check_loss(settings) -> None:
    """Raises InputError for values of `config.loss` that no loss can use."""
    numbers = dict.fromkeys(("label_smoothing", "margin"), rules.NOT_NEGATIVE)
    rules.check("loss", settings, {"topk_ratio": rules.COUNT} | numbers)
    rules.check("loss.weights", settings.weights, dict.fromkeys(settings.weights, rules.NOT_NEGATIVE))
