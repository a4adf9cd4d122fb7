"""Self-voting: the streams that are sure of a snippet label it for each other.

Every stream carries a label and a confidence for each of the S training snippets. A refresh replaces them where a
stream is surer than it ever was; in every step, the streams that are sure now vote with the labels that they carry.

Letters: M streams, B videos, T snippets, C classes; class C is the background.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from tsc_jax import settings as rules
from tsc_jax.data.dataset import Video
from tsc_jax.errors import InputError
from tsc_jax.nn.cosine import Scores


@struct.dataclass
class Votes:
    """The targets that the streams give each other."""

    confidence: jax.Array  # float32 [M, B, T]
    target: jax.Array  # float32 [M, B, T], mean label of the voters; a little less than 1 where all of them say 1
    selected: jax.Array  # bool [M, B, T], whether some stream votes


def confidence(probabilities, labels):
    """How sure a stream is whether a snippet is action or background: [..., T] from 0 to 1.

    It is the distance between the probability of all labelled classes together and that of the background. The
    labels [..., C] of the video hide its other classes, and what is left is not normalised again (published).
    Takes NumPy and JAX arrays.
    """
    actions = (probabilities[..., :-1] * labels[..., None, :]).sum(axis=-1)
    return abs(actions - probabilities[..., -1])


def vote(scores: Mapping[str, Scores], carried: jax.Array, labels: jax.Array, allowed: jax.Array, settings) -> Votes:
    """The votes on each stream in the order of `scores`.

    A stream votes on itself where its confidence reaches `vote_threshold`, and on another one where it also exceeds
    the confidence of the other one by `vote_margin`.

    Args:
      scores: of the present forward pass.
      carried: bool [M, B, T], the labels that the streams carry for these snippets.
      labels: bool [B, C], of the videos.
      allowed: bool [B, T], where votes count.
      settings: `config.pseudo`.
    """
    sure = jnp.stack([confidence(jax.nn.softmax(stream.cas), labels) for stream in scores.values()])
    # [stream voted on, voter, B, T]
    surer = sure[None] - sure[:, None] >= settings.vote_margin
    itself = jnp.eye(len(sure), dtype=bool)[:, :, None, None]
    voters = (surer | itself) & ((sure >= settings.vote_threshold) & allowed[None])[None]
    number = jnp.sum(voters, axis=1)
    target = jnp.sum(voters & carried[None], axis=1) / (number + settings.vote_smoothing)
    return Votes(sure, target, number > 0)


def pseudo_labels(
    outputs: Sequence[Mapping[str, np.ndarray]], videos: Sequence[Video], attention_threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """The labels bool [M, S'] and confidences float32 [M, S'] of the S' snippets of all videos in turn.

    `outputs` holds per video "attention" [T, M] and "probabilities" [T, M, C + 1].
    """
    attention = np.concatenate([output["attention"] for output in outputs]).T
    sure = [
        confidence(np.moveaxis(output["probabilities"], 1, 0), video.labels)
        for output, video in zip(outputs, videos, strict=True)
    ]
    return attention > attention_threshold, np.concatenate(sure, axis=1)


def renew(carried: Mapping[str, jax.Array], labels: np.ndarray, sure: np.ndarray) -> dict[str, np.ndarray]:
    """What is carried after a refresh: new labels where the new confidence `sure` exceeds the carried one.

    `carried` holds "labels" bool [M, S] and "confidence" float32 [M, S]; the new ones are of the first S' snippets.
    """
    missing = carried["labels"].shape[1] - sure.shape[1]
    labels, sure = (np.pad(array, ((0, 0), (0, missing))) for array in (labels, sure))
    better = sure > carried["confidence"]
    new = {"labels": labels, "confidence": sure}
    return {name: np.where(better, array, carried[name]) for name, array in new.items()}


def check_pseudo(settings) -> None:
    """Raises InputError for an invalid value in `config.pseudo`."""
    numbers = dict.fromkeys(("attention_threshold", "vote_threshold", "vote_margin"), rules.NUMBER)
    rules.check("pseudo", settings, numbers | {"vote_smoothing": rules.POSITIVE})
    epochs = list(settings.refresh_epochs)
    if not all(rules.COUNT.holds(epoch) for epoch in epochs) or epochs != sorted(set(epochs)):
        raise InputError(f"config.pseudo.refresh_epochs is {tuple(epochs)}, expected rising numbers of epochs from 1")
