"""Losses that several methods use: one value per video, in float32."""

import jax
import jax.numpy as jnp

from tsc_jax.nn.pooling import mean_over_time


def label_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, background: bool, smoothing: float = 1e-8
) -> jax.Array:
    """Cross entropy [B] of class logits [B, C + 1] against the labels bool [B, C] of the video, which share 1.

    `background`: whether the background counts as one of the labels. `smoothing` is added to the number of labels.
    """
    last = jnp.full((*labels.shape[:-1], 1), background)
    target = jnp.concatenate([labels, last], axis=-1).astype(jnp.float32)
    target /= jnp.maximum(jnp.sum(target, axis=-1, keepdims=True) + smoothing, jnp.finfo(jnp.float32).tiny)
    return -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)


def distillation(student: jax.Array, teacher: jax.Array, mask: jax.Array, temperature: float) -> jax.Array:
    """Mean over snippets of the cross entropy of student scores [B, T, K] against teacher scores: [B].

    Both are divided by the temperature; the teacher gets no gradient. There is no factor temperature^2 (published by
    RSKP and MMSD).
    """
    wanted = jax.nn.softmax(jax.lax.stop_gradient(teacher) / temperature)
    return mean_over_time(-jnp.sum(wanted * jax.nn.log_softmax(student / temperature), axis=-1), mask)
