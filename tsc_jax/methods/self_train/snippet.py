"""The snippet student: a classifier of every snippet, whose segments are read as from any class activations."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsc_jax import settings as rules
from tsc_jax.localization import steps
from tsc_jax.localization.video_scores import video_scores
from tsc_jax.method import Outputs, Term
from tsc_jax.methods.self_train.labels import snippet_labels
from tsc_jax.methods.self_train.network import SnippetNetwork, stem_settings
from tsc_jax.methods.self_train.student import Student

# Of the section `config.student`; configs/self_training.py explains each value.
RULES = {"label_smoothing": rules.BELOW_1, "topk_ratio": rules.COUNT, "weight": rules.SHARE}


def make(config, classes: int, mapped: bool) -> Student:
    """Builds the student of `config.student`, whose answer is class logits [B, T, C + 1]."""
    settings = config.student

    def loss(logits, targets, mask):
        wanted = jax.nn.one_hot(targets["labels"], classes + 1)
        entropy = optax.softmax_cross_entropy(logits, optax.smooth_labels(wanted, settings.label_smoothing))
        return {"cross_entropy": Term(jnp.sum(entropy, where=mask), jnp.sum(mask, dtype=jnp.float32))}

    def outputs(logits, mask):
        del mask
        return Outputs({"cas": logits, "attention": 1 - jax.nn.softmax(logits)[..., -1]})

    def class_scores(outputs):
        return np.array([class_scores_of(output, settings.topk_ratio) for output in outputs])

    return Student(
        network=SnippetNetwork(**stem_settings(settings, classes, mapped)),
        targets=lambda segments, lengths: {"labels": snippet_labels(segments, lengths, classes)},
        loss=loss,
        outputs=outputs,
        localize=lambda outputs: steps.localize(outputs, class_scores(outputs), config.proposals, probabilities=False),
        class_scores=class_scores,
        probabilities=False,
    )


def class_scores_of(output: Mapping[str, np.ndarray], topk_ratio: int) -> np.ndarray:
    """The class scores [C] of a video: those of TSC-Net's published localization, from the student's logits."""
    activations = output["cas"] * output["attention"][:, None]
    return video_scores(activations, max(1, len(activations) // topk_ratio))
