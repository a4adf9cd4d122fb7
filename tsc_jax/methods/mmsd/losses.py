"""The losses of MMSD: six terms per stream, each one value per video.

Letters: M streams, B videos, T snippets, C classes; class C is the background.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.methods.mmsd.voting import Votes
from tsc_jax.nn.cosine import Scores
from tsc_jax.nn.losses import distillation, label_cross_entropy
from tsc_jax.nn.pooling import mean_of_largest, mean_over_time

TERMS = ("class_agnostic", "class_specific", "contrast", "separation", "distillation", "pseudo_labels")


def video_losses(
    scores: Mapping[str, Scores], labels: jax.Array, mask: jax.Array, votes: Votes, settings
) -> dict[str, jax.Array]:
    """The unweighted losses [B] as "STREAM/TERM"; a stream that is alone has no distillation.

    Args:
      scores: of each stream.
      labels: bool [B, C], of the videos.
      mask: bool [B, T].
      votes: on each stream, in the order of `scores`.
      settings: `config.loss`.
    """
    teachers, losses = teachers_of(scores), {}
    for number, (stream, own) in enumerate(scores.items()):
        terms = {
            "class_agnostic": label_cross_entropy(
                own.agnostic, labels, background=False, smoothing=settings.label_smoothing
            ),
            "class_specific": label_cross_entropy(
                own.specific, labels, background=True, smoothing=settings.label_smoothing
            ),
            "contrast": contrast(own.class_attention, labels, mask, settings.contrast_ratio),
            "separation": separation(own.class_attention, labels, mask),
            "pseudo_labels": pseudo_label_loss(own.attention, votes.target[number], votes.selected[number]),
        }
        if stream in teachers:
            terms["distillation"] = distillation(own.cas, teachers[stream], mask, settings.temperature)
        losses |= {f"{stream}/{name}": term for name, term in terms.items()}
    return losses


def teachers_of(scores: Mapping[str, Scores]) -> dict[str, jax.Array]:
    """The scores [B, T, C + 1] that each stream learns from: RGB and flow from each other, the peer from their mean."""
    if len(scores) == 1:
        return {}
    rgb, flow = scores["rgb"].cas, scores["flow"].cas
    return {"rgb": flow, "flow": rgb, "peer": (rgb + flow) / 2}


def contrast(class_attention: jax.Array, labels: jax.Array, mask: jax.Array, ratio: int) -> jax.Array:
    """The mean of the T // ratio smallest attentions minus that of the largest, over labels and background: [B]."""
    shown = jnp.pad(labels, ((0, 0), (0, 1)), constant_values=True)
    largest = mean_of_largest(class_attention, mask, ratio)
    smallest = -mean_of_largest(-class_attention, mask, ratio)
    return jnp.sum(smallest - largest, axis=1, where=shown)


def separation(class_attention: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Minus the mean distance between the largest attention of a labelled class and that of the background: [B].

    The attention of other classes counts as 0.
    """
    action = jnp.max(jnp.where(labels[:, None], class_attention[..., :-1], 0), axis=-1)
    return -mean_over_time(jnp.abs(action - class_attention[..., -1]), mask)


def pseudo_label_loss(attention: jax.Array, target: jax.Array, selected: jax.Array) -> jax.Array:
    """Mean squared distance of the attention from its target over the selected snippets: [B]; 0 where none is."""
    return mean_over_time(jnp.square(attention - target), selected)


def check_loss(settings) -> None:
    """Raises InputError for an invalid value in `config.loss`."""
    numbers = {"label_smoothing": rules.NOT_NEGATIVE, "contrast_ratio": rules.COUNT, "temperature": rules.POSITIVE}
    rules.check("loss", settings, numbers)
    rules.check("loss.weights", settings.weights, dict.fromkeys(TERMS, rules.NOT_NEGATIVE))
