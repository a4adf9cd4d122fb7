"""ACN as a `Method`: a stage that reads class evidence and attention from its base and learns where intervals end."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsc_jax import methods
from tsc_jax import settings as rules
from tsc_jax.data.sampling import steps_within
from tsc_jax.errors import InputError
from tsc_jax.inference import Look
from tsc_jax.method import Method, Outputs, Sizes, class_probabilities, prefixed
from tsc_jax.methods.acn.confidence import coherence
from tsc_jax.methods.acn.intervals import make_intervals
from tsc_jax.methods.acn.localize import class_scores, localize, selection_scores
from tsc_jax.methods.acn.losses import each_anchor, loss_terms, regress
from tsc_jax.methods.acn.network import make_network
from tsc_jax.nn.modalities import check_modalities, modalities, split_modalities

RULES = {
    "model": {
        "hidden": rules.COUNT,
        "input": rules.one_of("features", "features+scp"),
        "dilation": rules.one_of("skipped", "quarter"),
        "dtype": rules.DTYPE,
    },
    "evidence": {
        "scale": rules.one_of("range", "none"),
        "low": rules.SHARE,
        "high": rules.SHARE,
        "attention_quantile": rules.SHARE,
    },
    "intervals": {
        "anchors": rules.Rule(
            lambda value: len(value) > 0 and all(map(rules.COUNT.holds, value))
            and list(value) == sorted(set(value)),
            "rising numbers of snippets",
        ),
        "reading": rules.one_of("printed", "inclusive"),
        "outer_min": rules.NOT_NEGATIVE,
    },
    "confidence": {"terms": rules.one_of("both", "contrast", "coherence"), "alpha": rules.SHARE},
    "selection": {
        "evidence": rules.NUMBER,
        "veto": rules.one_of("any", "centre"),
        "training_classes": rules.one_of("labels", "scores"),
        "test_classes": rules.one_of("gate", "scores"),
        "scores": rules.one_of("base", "evidence"),
        "topk_ratio": rules.COUNT,
        "class_threshold": rules.NUMBER,
    },
    "proposals": {"nms_limit": rules.SHARE, "fusion_limit": rules.SHARE, "rgb_weight": rules.NOT_NEGATIVE},
    "optimizer": {
        "learning_rate": rules.NOT_NEGATIVE,
        "epoch_factors": rules.Rule(
            lambda value: len(value) > 0 and all(rules.is_number(factor) and factor >= 0 for factor in value),
            "a number from 0 for each epoch",
        ),
    },
}  # fmt: skip


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds ACN on the base of `config.base.recipe`; see `methods.make`.

    params holds the regressors of each stream. carried holds the "base" (its variables) and the "scale": what the
    evidence and the attention of the base are measured by. Where training chooses classes by scores, it holds the
    "scores" [V, C] of the training videos too. All of it is filled in by the refresh at step 0.
    """
    del axis  # the loss is a sum over videos, and nothing is carried on from a batch
    check(config, sizes)
    base, network = methods.make_base(config, sizes, mapped), make_network(config, mapped)
    names = modalities(config.model)

    def init(key):
        base_key, *keys = jax.random.split(key, 1 + len(names))
        width = sizes.width // len(names) + (sizes.classes if config.model.input == "features+scp" else 0)
        blank, mask = jnp.zeros((1, 1, width)), jnp.ones((1, 1), bool)
        params = {name: network.init(own, blank, mask)["params"] for name, own in zip(names, keys, strict=True)}
        scale = {"low": jnp.zeros(()), "high": jnp.ones(()), "theta": jnp.zeros(len(names))}
        carried = {"base": base.variables(*base.init(base_key)), "scale": scale}
        if config.selection.training_classes == "scores":
            carried["scores"] = jnp.zeros((sizes.videos, sizes.classes))
        return params, carried

    def observe(carried, features, mask):
        """The outputs of the base, and the evidence [B, T, C]."""
        outputs = base.forward(carried["base"], features, mask)
        scp = rescale(class_probabilities(base, outputs)[..., :-1], carried["scale"])
        return jax.lax.stop_gradient((outputs, jnp.where(mask[..., None], scp, 0)))

    def loss(params, carried, batch, key, step):
        del key, step
        _, scp = observe(carried, batch["features"], batch["mask"])
        classes = batch["labels"]
        if "scores" in carried:
            shown = carried["scores"][batch["video"]] > config.selection.class_threshold
            classes = shown & (batch["video"] >= 0)[:, None]
        return loss_terms(network, params, batch, scp, classes, config), carried

    def forward(variables, features, mask):
        outputs, scp = observe(variables, features, mask)
        background = class_probabilities(base, outputs)[..., -1:]
        attention = outputs.snippets["attention"]
        snippets = {"cas": jnp.concatenate([scp, background], axis=-1), "attention": attention}
        videos = {}
        for number, (name, own) in enumerate(split_modalities(features, len(names)).items()):
            regressed, alike = judge(variables["params"][name], own, scp, mask)
            snippets |= {f"{name}/regressed": regressed, f"{name}/coherence": alike}
            videos[f"{name}/theta"] = jnp.full(len(mask), variables["scale"]["theta"][number])
        of_base = prefixed(outputs, "base")
        return Outputs(snippets | of_base.snippets, videos | of_base.videos)

    def judge(params, features, scp, mask):
        """The outputs of the regressors of a stream [B, T, A, 2], and the coherence of the intervals [B, T, A]."""
        features = jnp.where(mask[..., None], features, 0)
        regressed = regress(network, params, features, scp, mask, config.model.input)
        intervals = make_intervals(regressed, jnp.sum(mask, axis=1), config.intervals)
        alike = each_anchor(lambda own: coherence(features, own, config.intervals), intervals)
        return regressed, jnp.moveaxis(jnp.where(intervals.exists, alike, 0), 1, -1)

    def refresh(params, carried, look: Look, step):
        del step
        outputs = look.run(
            lambda variables, *video: with_probabilities(base, variables, *video), look.bases[0].variables
        )
        scale = measure(outputs, [video.labels for video in look.split.videos], config, len(names))
        carried = {"base": look.bases[0].variables, "scale": scale}
        if config.selection.training_classes == "scores":
            scp = [np.asarray(rescale(output.pop("probabilities")[:, :-1], scale)) for output in outputs]
            scores = selection_scores(scp, base.class_scores(outputs), config.selection)
            carried["scores"] = np.asarray(scores, np.float32)
        return params, carried, {"scale": jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), scale)}

    return Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config, sizes.videos),
        learning_rate=learning_rate(config, sizes.videos),
        variables=lambda params, carried: {"params": params, "base": carried["base"], "scale": carried["scale"]},
        forward=forward,
        localize=lambda outputs: localize(outputs, base, config),
        class_scores=lambda outputs: class_scores(outputs, base),
        refresh_at=(0,),
        refresh=refresh,
        probabilities=True,
    )


def with_probabilities(base: Method, variables: Any, features: jax.Array, mask: jax.Array) -> Outputs:
    """The outputs of the base and its class probabilities."""
    outputs = base.forward(variables, features, mask)
    return outputs.replace(snippets=outputs.snippets | {"probabilities": class_probabilities(base, outputs)})


def rescale(probabilities: jax.Array, scale: dict) -> jax.Array:
    """Class evidence from 0 to 1: where the probabilities lie between "low" and "high"."""
    return jnp.clip((probabilities - scale["low"]) / (scale["high"] - scale["low"]), 0, 1)


def measure(outputs: list[dict], labels: list[np.ndarray], config, number: int) -> dict[str, np.ndarray]:
    """What evidence and attention are measured by, from the base's outputs for all training videos.

    Args:
      outputs: per video "probabilities" [T, C + 1] and "attention" [T].
      labels: bool [C] per video.
      config: the recipe.
      number: of streams.

    Returns:
      "low" and "high": quantiles of the probabilities of the classes that a video shows; "theta" [streams]: the
      attention below which there is no evidence, as given, or a quantile of all attention.
    """
    evidence, theta = config.evidence, list(config.evidence.attention_thresholds)
    low, high = 0.0, 1.0
    if evidence.scale == "range":
        shown = [output["probabilities"][:, :-1][:, own] for output, own in zip(outputs, labels, strict=True)]
        shown = np.concatenate([each.ravel() for each in shown]).astype(np.float64)
        low, high = np.quantile(shown, [evidence.low, evidence.high])
        high = max(high, low + 1e-6)
    if not theta:
        attention = np.concatenate([output["attention"] for output in outputs]).astype(np.float64)
        theta = [np.quantile(attention, evidence.attention_quantile)] * number
    return {name: np.array(value, np.float32) for name, value in (("low", low), ("high", high), ("theta", theta))}


def make_optimizer(config, videos: int) -> optax.GradientTransformation:
    """Plain SGD."""
    return optax.sgd(learning_rate(config, videos))


def learning_rate(config, videos: int) -> optax.Schedule:
    """The learning rate of each epoch has a factor of its own, the last of which stays."""
    settings, train = config.optimizer, config.train
    ends = [steps_within(epoch, train.batch_size, videos) for epoch in range(1, len(settings.epoch_factors))]
    factors = np.asarray(settings.epoch_factors, np.float32)

    def rate(step):
        return settings.learning_rate * jnp.asarray(factors)[jnp.sum(step >= jnp.asarray(ends, jnp.int32))]

    return rate


def check(config, sizes: Sizes) -> None:
    """Raises InputError for settings that ACN cannot use."""
    for section, of_section in RULES.items():
        rules.check(section, config[section], of_section)
    rules.check("loss.weights", config.loss.weights, {"confidence": rules.NOT_NEGATIVE})
    if "," in config.base.workdir or config.base.seeds != 1:
        raise InputError(
            f"config.base.workdir is {config.base.workdir} and config.base.seeds {config.base.seeds}, but ACN stands on"
            " a single run"
        )
    number, theta = config.model.modalities, config.evidence.attention_thresholds
    check_modalities(config.model, sizes.width)
    if theta and (len(theta) != number or not all(map(rules.is_number, theta))):
        raise InputError(
            f"config.evidence.attention_thresholds is {tuple(theta)}, expected one number for each of the {number}"
            " streams, or none"
        )
    if config.evidence.low >= config.evidence.high:
        raise InputError(
            f"config.evidence.low is {config.evidence.low}, expected less than config.evidence.high,"
            f" {config.evidence.high}"
        )
