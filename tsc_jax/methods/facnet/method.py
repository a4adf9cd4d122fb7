"""FAC-Net as a `Method`: one network per modality, trained in one step."""

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.method import Method, Outputs, Sizes
from tsc_jax.methods.facnet.localize import check_proposals, class_scores, localize
from tsc_jax.methods.facnet.losses import BRANCHES, loss_terms
from tsc_jax.methods.facnet.network import make_network
from tsc_jax.nn.modalities import check_modalities, modalities, split_modalities
from tsc_jax.optimizer import check_optimizer, make_optimizer


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds FAC-Net; see `methods.make`.

    params holds the parameters of one network per modality: "rgb" and "flow", or "joint". Adam treats every parameter
    by itself, so one step trains the networks apart. Nothing is carried.
    """
    del axis  # Nothing but the sums of the loss crosses devices.
    check(config, sizes)
    names = modalities(config.model)
    network = make_network(config.model, sizes.classes, mapped)

    def by_modality(features):
        return split_modalities(features, len(names))

    def own_keys(key):
        return dict(zip(names, jax.random.split(key, len(names)), strict=True))

    def init(key):
        features, mask = by_modality(jnp.zeros((1, 1, sizes.width))), jnp.ones((1, 1), bool)
        first = jax.jit(network.init)
        return {name: first(own, features[name], mask)["params"] for name, own in own_keys(key).items()}, {}

    def loss(params, carried, batch, key, step):
        del step
        features, mask, terms = by_modality(batch["features"]), batch["mask"], {}
        for name, own in own_keys(key).items():
            inputs = (features[name], mask, batch["order"])
            outputs = network.apply({"params": params[name]}, *inputs, rngs={"dropout": own})
            of_modality = loss_terms(outputs, batch["labels"], mask, config.loss)
            terms |= {f"{name}/{branch}": term for branch, term in of_modality.items()}
        return terms, carried

    def forward(variables, features, mask):
        outputs = {
            name: network.apply({"params": variables[name]}, own, mask) for name, own in by_modality(features).items()
        }
        scores = {f"{name}/scores": each.scores for name, each in outputs.items()}
        pictures = {
            "cas": sum(jax.nn.softmax(each.scores) for each in outputs.values()) / len(names),
            "attention": sum(relative_attention(each.foreground, mask) for each in outputs.values()) / len(names),
        }
        return Outputs(
            scores | pictures, {f"{name}/class_agnostic": each.class_agnostic for name, each in outputs.items()}
        )

    return Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config.optimizer),
        variables=lambda params, carried: params,
        forward=forward,
        localize=lambda outputs: localize(outputs, names, config.proposals),
        class_scores=lambda outputs: class_scores(outputs, names),
        probabilities=True,
    )


def relative_attention(foreground: jax.Array, mask: jax.Array) -> jax.Array:
    """The foreground attention at temperature 1 divided by its largest value in the video: [B, T], from 0 to 1."""
    largest = jnp.max(foreground, axis=1, keepdims=True, where=mask, initial=-jnp.inf)
    return jnp.where(mask, jnp.exp(jnp.where(mask, foreground - largest, 0)), 0)


def check(config, sizes: Sizes) -> None:
    """Raises InputError for settings that FAC-Net cannot use."""
    check_model(config.model, sizes.width)
    rules.check("loss", config.loss, {"label_smoothing": rules.NOT_NEGATIVE})
    rules.check("loss.weights", config.loss.weights, dict.fromkeys(BRANCHES, rules.NOT_NEGATIVE))
    check_optimizer(config.optimizer)
    check_proposals(config.proposals)


def check_model(model, width: int) -> None:
    """Raises InputError for values of `config.model` that make no network for features of width D."""
    numbers = dict.fromkeys(("scale", "logit_factor"), rules.POSITIVE)
    rules.check(
        "model",
        model,
        numbers
        | {
            "dtype": rules.DTYPE,
            "embedding_width": rules.COUNT,
            "dropout": rules.BELOW_1,
            "temperatures": rules.Rule(
                lambda value: len(value) >= 1 and all(rules.POSITIVE.holds(each) for each in value),
                "one or more numbers above 0",
            ),
        },
    )
    check_modalities(model, width)
