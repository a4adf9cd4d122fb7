"""GRN as a `Method`: one network per stream, trained in one step; Adam moves each weight alone, so they train apart."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from tsc_jax import settings as rules
from tsc_jax.errors import InputError
from tsc_jax.method import Method, Outputs, Sizes, Term
from tsc_jax.methods.grn.localize import RULES as PROPOSAL_RULES
from tsc_jax.methods.grn.localize import class_scores, fuse, localize
from tsc_jax.methods.grn.losses import RULES as LOSS_RULES
from tsc_jax.methods.grn.losses import losses
from tsc_jax.methods.grn.network import make_network
from tsc_jax.nn import graph
from tsc_jax.nn.modalities import check_modalities, modalities, split_modalities
from tsc_jax.nn.sampling import on_even_samples
from tsc_jax.optimizer import check_optimizer, make_optimizer
from tsc_jax.refine import strength_of

MODEL_RULES = {
    "dtype": rules.DTYPE,
    "hidden": rules.COUNT,
    "class_bias": rules.BOOLEAN,
    "embedding": rules.BOOLEAN,
    "kernel": rules.Rule(lambda value: rules.COUNT.holds(value) and value % 2 == 1, "an odd number of snippets"),
    "norm": rules.one_of("batch", "video"),
    "norm_momentum": rules.SHARE,
    "norm_epsilon": rules.POSITIVE,
    "pool": rules.one_of("mean", "topk"),
    "pool_ratio": rules.COUNT,
    "test_snippets": rules.COUNT_OR_0,
}


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds GRN; see `methods.make`.

    params holds the "class_module" and the "graph_module" of each stream, carried the batch statistics of each stream.
    """
    check(config, sizes)
    network, streams = make_network(config, sizes.classes, axis, mapped), modalities(config.model)

    def init(key):
        features, mask = jnp.zeros((1, 1, sizes.width // len(streams))), jnp.ones((1, 1), bool)
        keys = jax.random.split(key, len(streams))
        new = {name: jax.jit(network.init)(keys[i], features, mask) for i, name in enumerate(streams)}
        return tuple({name: new[name].get(kind, {}) for name in streams} for kind in ("params", "batch_stats"))

    def loss(params, carried, batch, key, step):
        del key, step
        mask, labels = batch["mask"], batch["labels"]
        exists = jnp.any(mask, axis=1)
        terms, moved = {}, {}
        for name, features in split_modalities(batch["features"], len(streams)).items():
            variables = {"params": params[name], "batch_stats": carried[name]}
            outputs, new = network.apply(variables, features, mask, train=True, mutable=["batch_stats"])
            moved[name] = new.get("batch_stats", {})
            for kind, values in losses(outputs, labels, mask, config.loss).items():
                of_videos = jnp.sum(values, where=exists), jnp.sum(exists, dtype=jnp.float32)
                terms[f"{name}/{kind}"] = Term(*of_videos, config.loss.weights[kind])
        return terms, moved

    def forward(variables, features, mask):
        parts = split_modalities(features, len(streams))
        outputs = {name: network.apply(variables[name], part, mask) for name, part in parts.items()}
        maps = {name: stream.refined for name, stream in outputs.items()}
        fused = fuse(maps, config.proposals.rgb_weight)
        attention = jnp.max(fused, axis=-1)
        cas = jnp.concatenate([fused, 1 - attention[..., None]], axis=-1)
        videos = {f"{name}_video": stream.video for name, stream in outputs.items()}
        return Outputs({"cas": cas, "attention": attention} | maps, videos)

    method = Method(
        init=init,
        loss=loss,
        optimizer=optimizer_of(config.optimizer, streams, config.model.embedding),
        variables=lambda params, carried: {
            name: {"params": params[name], "batch_stats": carried[name]} for name in streams
        },
        forward=forward,
        localize=lambda outputs: localize(outputs, streams, config.proposals),
        class_scores=lambda outputs: class_scores(outputs, streams, config.proposals),
    )
    if not config.model.test_snippets:
        return method
    # The published snippets at test time are those in the middle of equal spans.
    return on_even_samples(method, config.model.test_snippets, 0.5, {f"{name}_video" for name in streams})


def optimizer_of(settings, streams: Sequence[str], graph_module: bool) -> optax.GradientTransformation:
    """Adam; the graph module does not move in the first `graph_after` steps, in which its moments already run."""

    def share(step):
        return jnp.where(step < settings.graph_after, 0.0, settings.graph_factor)

    held = {name: {"class_module": False} | ({"graph_module": True} if graph_module else {}) for name in streams}
    return optax.chain(make_optimizer(settings), optax.masked(optax.scale_by_schedule(share), held))


def check(config, sizes: Sizes) -> None:
    """Raises InputError for settings that GRN cannot use."""
    if strength_of(config):
        raise InputError("config.refine.strength is above 0, but GRN refines its scores itself (config.graph.strength)")
    rules.check("model", config.model, MODEL_RULES)
    rules.check("graph", config.graph, graph.RULES | {"refine": rules.BOOLEAN})
    rules.check("loss", config.loss, LOSS_RULES)
    rules.check("loss.weights", config.loss.weights, dict.fromkeys(config.loss.weights, rules.NOT_NEGATIVE))
    rules.check("proposals", config.proposals, PROPOSAL_RULES)
    rules.check("optimizer", config.optimizer, dict.fromkeys(("graph_after", "graph_factor"), rules.NOT_NEGATIVE))
    check_optimizer(config.optimizer)
    channels = config.model.channels
    if not channels or not all(rules.COUNT.holds(width) for width in channels):
        raise InputError(f"config.model.channels is {channels!r}, expected one or more widths of 1 or more")
    check_modalities(config.model, sizes.width)
