"""The losses of GRN for one stream: one value per video, float32.

Letters: B videos, T snippets, C classes. `mask` is boolean [B, T], `labels` boolean [B, C].
"""

import jax
import jax.numpy as jnp
from flax import struct

from tsc_jax import settings as rules
from tsc_jax.methods.grn.network import Stream
from tsc_jax.nn.pooling import mean_over_time

RULES = {
    "clip": rules.Rule(lambda value: rules.is_number(value) and 0 < value < 0.5, "a number between 0 and 0.5"),
    "tau_high": rules.NUMBER,
    "tau_low": rules.NUMBER,
    "tau_scale": rules.one_of("absolute", "range"),
    "low": rules.one_of("argmax", "background"),
}


@struct.dataclass
class Pseudo:
    """The pseudo labels of snippets; they are constants."""

    active: jax.Array  # bool [B, T], whether the class of a snippet counts as known
    label: jax.Array  # int32 [B, T], that class; C is the class of all low snippets under low="background"


def pseudo_labels(scores: jax.Array, labels: jax.Array, mask: jax.Array, settings) -> Pseudo:
    """Pseudo labels from the unrefined scores [B, T, C]; `settings` is `config.loss`.

    A snippet is active where the best score of the video's classes is above tau_high or below tau_low.
    """
    scores = jax.lax.stop_gradient(scores)
    best = jnp.max(jnp.where(labels[:, None], scaled(scores, mask, settings.tau_scale), -jnp.inf), axis=-1)
    # Without a label nothing is active, and nothing is low.
    low = (best < settings.tau_low) & mask & jnp.any(labels, axis=1)[:, None]
    active = ((best > settings.tau_high) & mask) | low
    label = jnp.argmax(scores, axis=-1)
    return Pseudo(active, jnp.where(low, scores.shape[-1], label) if settings.low == "background" else label)


def scaled(scores: jax.Array, mask: jax.Array, scale: str) -> jax.Array:
    """The scores [B, T, C] as they are ("absolute"), or as shares of the range of their class in the video."""
    if scale == "absolute":
        return scores
    exists = mask[..., None]
    least = jnp.min(scores, axis=1, keepdims=True, where=exists, initial=jnp.inf)
    most = jnp.max(scores, axis=1, keepdims=True, where=exists, initial=-jnp.inf)
    return jnp.where(exists, (scores - least) / jnp.maximum(most - least, 1e-12), 0)


def pseudo_affinities(pseudo: Pseudo) -> tuple[jax.Array, jax.Array]:
    """A* [B, T, T], 1 for pairs of one class, else 0; and bool [B, T, T], which pairs are used."""
    used = pseudo.active[:, :, None] & pseudo.active[:, None, :]
    same = pseudo.label[:, :, None] == pseudo.label[:, None, :]
    return (used & same).astype(jnp.float32), used


def affinity_loss(affinity: jax.Array, pseudo: Pseudo, mask: jax.Array) -> jax.Array:
    """Squared distance of the affinities [B, T, T] from the pseudo affinities: [B].

    For each active snippet it is a mean over the active ones; their sum is divided by the number of all snippets.
    """
    wanted, used = pseudo_affinities(pseudo)
    errors = jnp.sum(jnp.square(affinity - wanted), axis=-1, where=used)
    active = jnp.maximum(jnp.sum(pseudo.active, axis=1, keepdims=True), 1)
    return mean_over_time(errors / active, mask)


def classification_loss(video: jax.Array, labels: jax.Array, clip: float) -> jax.Array:
    """Binary cross entropy of the video scores [B, C], clipped to [clip, 1 - clip], summed over classes: [B]."""
    video = jnp.clip(video, clip, 1 - clip)
    return -jnp.sum(jnp.where(labels, jnp.log(video), jnp.log(1 - video)), axis=-1)


def losses(stream: Stream, labels: jax.Array, mask: jax.Array, settings) -> dict[str, jax.Array]:
    """Both losses of a stream by name, one value per video; `settings` is `config.loss`."""
    pseudo = pseudo_labels(stream.scores, labels, mask, settings)
    return {
        "affinity": affinity_loss(stream.affinity, pseudo, mask),
        "classification": classification_loss(stream.video, labels, settings.clip),
    }
