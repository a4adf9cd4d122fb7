"""RSKP's losses: one value per video, summed over videos without a division (published).

Letters: B videos, C classes.
"""

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.method import Term
from tsc_jax.nn.cosine import Scores
from tsc_jax.nn.losses import distillation, label_cross_entropy
from tsc_jax.nn.pooling import mean_of_largest

RULES = {"temperature": rules.POSITIVE, "attention_ratio": rules.COUNT, "inter_share": rules.SHARE}


def video_losses(
    main: Scores, intra: Scores, inter: Scores, has_inter: jax.Array, labels: jax.Array, mask: jax.Array, settings
) -> dict[str, jax.Array]:
    """The unweighted losses [B] of each video by name; `has_inter` bool [B]: whether the video has that branch."""
    losses = {}
    for name, scores, exists in (("main", main, True), ("intra", intra, True), ("inter", inter, has_inter)):
        agnostic = label_cross_entropy(scores.agnostic, labels, background=False)
        specific = label_cross_entropy(scores.specific, labels, background=True)
        losses[f"{name}/class_agnostic"] = jnp.where(exists, agnostic, 0)
        losses[f"{name}/class_specific"] = jnp.where(exists, specific, 0)
    losses["attention"] = attention_contrast(main.attention, mask, settings.attention_ratio)
    share = jnp.where(has_inter, settings.inter_share, 0)[:, None, None]
    teacher = share * inter.cas + (1 - share) * intra.cas
    losses["pseudo_labels"] = distillation(main.cas, teacher, mask, settings.temperature)
    return losses


def attention_contrast(attention: jax.Array, mask: jax.Array, ratio: int) -> jax.Array:
    """Mean of the T // ratio smallest attentions [B, T] minus that of the largest ones: [B], never positive."""
    both = jnp.stack([-attention, attention], axis=-1)
    return -jnp.sum(mean_of_largest(both, mask, ratio), axis=-1)


def loss_terms(losses: dict[str, jax.Array], exists: jax.Array, second_phase: jax.Array, weights) -> dict[str, Term]:
    """The terms of the loss: sums over the videos that exist, bool [B].

    `second_phase` bool [B] tells which of two weights the pseudo labels of a video have.
    """
    terms = {
        name: Term(jnp.sum(loss, where=exists), None, weight_of(name, weights))
        for name, loss in losses.items()
        if name != "pseudo_labels"
    }
    for phase, chosen in ((1, ~second_phase), (2, second_phase)):
        of_phase = jnp.sum(losses["pseudo_labels"], where=exists & chosen)
        terms[f"pseudo_labels/phase_{phase}"] = Term(of_phase, None, weights[f"pseudo_labels_{phase}"])
    return terms


def weight_of(name: str, weights) -> float:
    """The weight of a term that does not depend on the phase."""
    branch, _, kind = name.partition("/")
    return weights[kind] * (weights.inter if branch == "inter" else 1) if kind else weights[name]


def check_loss(settings) -> None:
    """Raises InputError for invalid values of `config.loss`."""
    rules.check("loss", settings, RULES)
    rules.check("loss.weights", settings.weights, dict.fromkeys(settings.weights, rules.NOT_NEGATIVE))
