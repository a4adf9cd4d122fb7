"""The regression student: a pyramid without anchors, whose cells say which class they show, from where to where.

Cells of 1, 2, 4 ... snippets answer for segments of rising length. Each level has its own block, all share the heads.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.localization.density import by_density
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.method import Outputs, Term
from tsc_jax.methods.self_train.cells import assign, segments_of
from tsc_jax.methods.self_train.labels import snippet_distances, snippet_labels
from tsc_jax.methods.self_train.network import Cells, PyramidNetwork, stem_settings
from tsc_jax.methods.self_train.student import Student

# Of the section `config.student.regression`; configs/self_training.py explains each value.
RULES = {
    "levels": rules.COUNT,
    "first_range": rules.POSITIVE,
    "centre_radius": rules.POSITIVE,
    "focal_gamma": rules.NOT_NEGATIVE,
    "focal_alpha": rules.SHARE,
    "loss_weight": rules.NOT_NEGATIVE,
    "prior": rules.Rule(lambda value: rules.is_number(value) and 0 < value < 1, "a number between 0 and 1"),
    "score_threshold": rules.SHARE,
    "most": rules.COUNT,
}


def make(config, classes: int, mapped: bool) -> Student:
    """Builds the student of `config.student`; its answer is a list of `Cells`, one per level. `mapped`: `methods.make`.

    Besides "cas" and "attention", its outputs are "scores" [B, T, levels, C] and "distances" [B, T, levels, 2]: what
    the cell of each level that holds the snippet says, as in `Cells`.

    Raises:
      InputError: batches from which it cannot learn.
    """
    check(config)
    settings = config.student.regression

    def targets(segments, lengths):
        labels = snippet_labels(segments, lengths, classes)
        return {"labels": labels, "distances": snippet_distances(segments, lengths)}

    return Student(
        network=PyramidNetwork(
            **stem_settings(config.student, classes, mapped), levels=settings.levels, prior=settings.prior
        ),
        targets=targets,
        loss=lambda levels, targets, mask: loss_terms(levels, targets, mask, settings),
        outputs=outputs_of,
        localize=lambda outputs: localize(outputs, settings, config.proposals),
        class_scores=lambda outputs: np.array([output["scores"].max(axis=(0, 1)) for output in outputs]),
        probabilities=True,
    )


def loss_terms(levels: Sequence[Cells], targets: Mapping[str, jax.Array], mask: jax.Array, settings) -> dict[str, Term]:
    """The focal loss of all cells and the DIoU loss of those that answer for a segment, each per such cell.

    Args:
      levels: the answer of the network.
      targets: "labels" int32 [B, T] and "distances" float32 [B, T, 2], as in `assign`.
      mask: bool [B, T].
      settings: `config.student.regression`.
    """
    classes = levels[0].logits.shape[-1]
    labels = jnp.where(mask, targets["labels"], classes)
    focal = regression = count = jnp.float32(0)
    for level, cells in enumerate(levels):
        label, wanted = assign(labels, targets["distances"], level, settings, classes)
        of_classes = focal_loss(
            cells.logits, jax.nn.one_hot(label, classes), settings.focal_gamma, settings.focal_alpha
        )
        focal += jnp.sum(of_classes, where=cells.mask[..., None])
        found = label < classes
        # Distances of 1 where there is no segment keep the gradient finite.
        apart = (jnp.where(found[..., None], distances, 1) for distances in (cells.distances, wanted))
        regression += jnp.sum(diou_loss(*apart), where=found)
        count += jnp.sum(found, dtype=jnp.float32)
    return {"focal": Term(focal, count), "diou": Term(regression, count, settings.loss_weight)}


def focal_loss(logits: jax.Array, wanted: jax.Array, gamma: float, alpha: float) -> jax.Array:
    """Sigmoid focal loss (Lin et al., 2017) of each logit, in the shape of `wanted`, which holds 0 and 1.

    `alpha` weighs what is wanted, 1 - `alpha` the rest; `gamma` is the power of the missing probability.
    """
    towards = jnp.where(wanted > 0, logits, -logits)
    weight = jnp.where(wanted > 0, alpha, 1 - alpha)
    return -weight * jnp.exp(gamma * jax.nn.log_sigmoid(-towards)) * jax.nn.log_sigmoid(towards)


def diou_loss(distances: jax.Array, wanted: jax.Array) -> jax.Array:
    """DIoU loss (Zheng et al., 2020) of segments around one point, given by their distances to it: [..., 2] -> [...].

    1 - tIoU + (distance of the middles / length of the hull)^2. `wanted` is above 0.
    """
    shared = jnp.minimum(distances, wanted).sum(axis=-1)
    union = distances.sum(axis=-1) + wanted.sum(axis=-1) - shared
    hull = jnp.maximum(distances, wanted).sum(axis=-1)
    shift = ((distances - wanted)[..., 1] - (distances - wanted)[..., 0]) / 2
    return 1 - shared / union + jnp.square(shift / hull)


def outputs_of(levels: Sequence[Cells], mask: jax.Array) -> Outputs:
    """The outputs of the answer of the network; see `make`.

    "cas" holds per class the mean of the levels' scores at the snippet, and 1 - the largest of them for the background;
    "attention" is the largest. The mean tells actions from background better than the largest score of the levels.
    """
    scores = of_snippets([jax.nn.sigmoid(cells.logits) for cells in levels], mask)
    distances = of_snippets([cells.distances for cells in levels], mask)
    classes = scores.mean(axis=2)
    attention = classes.max(axis=-1)
    cas = jnp.concatenate([classes, 1 - attention[..., None]], axis=-1)
    return Outputs({"cas": cas, "attention": attention, "scores": scores, "distances": distances})


def of_snippets(levels: Sequence[jax.Array], mask: jax.Array) -> jax.Array:
    """Repeats the values [B, N, K] of the cells of each level for all their snippets: [B, T, levels, K]."""
    repeated = [jnp.repeat(array, 2**level, axis=1)[:, : mask.shape[1]] for level, array in enumerate(levels)]
    return jnp.where(mask[..., None, None], jnp.stack(repeated, axis=2), 0)


def localize(outputs: Sequence[Mapping[str, np.ndarray]], settings, proposals) -> Segments:
    """The segments of V videos in snippets after NMS; `video` is an index into `outputs`.

    Args:
      outputs: per video, without padding, "scores" [T, levels, C] and "distances" [T, levels, 2].
      settings: `config.student.regression`.
      proposals: `config.proposals`, of which density and NMS apply.
    """
    parts = [candidates(video, output, settings) for video, output in enumerate(outputs)]
    return steps.suppress(by_density(concatenate(parts), proposals.density_power), proposals)


def candidates(video: int, output: Mapping[str, np.ndarray], settings) -> Segments:
    """The best segments of one video with a score above the threshold, best first; at most `most`."""
    length, parts = len(output["scores"]), []
    for level in range(settings.levels):
        # One snippet of each cell.
        scores, distances = (output[name][:: 2**level, level] for name in ("scores", "distances"))
        start, end = (np.clip(time, 0, length) for time in segments_of(distances, level))
        cell, label = np.nonzero((scores > settings.score_threshold) & (start < end)[:, None])
        parts.append(make_segments(video, label, start[cell], end[cell], scores[cell, label]))
    found = concatenate(parts)
    return found[np.argsort(-found.score, kind="stable")[: settings.most]]


def check(config) -> None:
    """Raises InputError for settings that the regression student cannot use."""
    if config.train.batches != "epochs" or config.train.sampling not in ("all", "crop"):
        raise InputError(
            f"config.train.batches is {config.train.batches!r} and config.train.sampling {config.train.sampling!r}, but"
            " the regression student learns distances: expected 'epochs' with 'crop' or 'all', which keep snippets"
            " together"
        )
