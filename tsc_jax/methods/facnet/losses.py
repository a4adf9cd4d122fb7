"""FAC-Net's losses: the cross entropy of each branch against the labels of the video, summed over videos."""

import jax
import jax.numpy as jnp

from tsc_jax.method import Term
from tsc_jax.methods.facnet.network import Outputs
from tsc_jax.nn.losses import label_cross_entropy

# The branches, and whether the background is among the labels of their loss.
BRANCHES = {"class_wise": False, "class_agnostic": False, "instances": True}


def video_losses(outputs: Outputs, labels: jax.Array, smoothing: float) -> dict[str, jax.Array]:
    """The losses [B] of each branch, from labels bool [B, C]."""
    return {
        name: label_cross_entropy(getattr(outputs, name), labels, background=background, smoothing=smoothing)
        for name, background in BRANCHES.items()
    }


def loss_terms(outputs: Outputs, labels: jax.Array, mask: jax.Array, settings) -> dict[str, Term]:
    """The terms of one modality; `settings` is `config.loss`.

    As published, they are sums and not means: under Adam the mean would make the weight decay B times as strong.
    """
    exists = jnp.any(mask, axis=1)
    losses = video_losses(outputs, labels, settings.label_smoothing)
    return {name: Term(jnp.sum(loss, where=exists), None, settings.weights[name]) for name, loss in losses.items()}
