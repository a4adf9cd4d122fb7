"""MMSD as a `Method`: how its streams, their losses and their pseudo labels work together.

Until the first refresh, the streams learn from the labels of the videos and from each other's scores. From then on
they also learn from the pseudo labels of the snippets, which every refresh renews.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.data.sampling import epoch_and_place, steps_within
from tsc_jax.errors import InputError
from tsc_jax.localization.class_tracks import check_proposals, class_scores, localize
from tsc_jax.method import Method, Outputs, Sizes, Term
from tsc_jax.methods.mmsd.losses import check_loss, video_losses
from tsc_jax.methods.mmsd.network import STREAMS, fuse, make_network, stream_weights
from tsc_jax.methods.mmsd.voting import check_pseudo, pseudo_labels, renew, vote
from tsc_jax.nn.modalities import check_modalities
from tsc_jax.optimizer import check_optimizer, make_optimizer


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds MMSD; see `methods.make`.

    params is the network's. carried holds, for the M streams and the S training snippets, "labels" bool [M, S] and
    "confidence" float32 [M, S], all 0 at the start; inference does not need it.
    """
    del axis  # nothing but the sums of the loss crosses devices
    check(config, sizes)
    network, streams = make_network(config.model, sizes.classes, mapped), STREAMS[config.model.modalities]
    weights = stream_weights(config.model)

    def init(key):
        features, mask = jnp.zeros((1, 1, sizes.width)), jnp.ones((1, 1), bool)
        shape = len(streams), max(1, sizes.snippets)  # checkpoints hold no empty arrays
        params = jax.jit(network.init)(key, features, mask)["params"]
        return params, {"labels": jnp.zeros(shape, bool), "confidence": jnp.zeros(shape)}

    def loss(params, carried, batch, key, step):
        inputs = (batch["features"], batch["mask"], batch["order"])
        scores = network.apply({"params": params}, *inputs, rngs={"dropout": key})
        votes = votes_of(scores, carried, batch, step)
        losses = video_losses(scores, batch["labels"], batch["mask"], votes, config.loss)
        exists = batch["video"] >= 0
        return {
            name: Term(jnp.sum(values, where=exists), None, config.loss.weights[name.split("/")[1]])
            for name, values in losses.items()
        }, carried

    def votes_of(scores, carried, batch, step):
        """The votes with the carried labels; none on videos of the epochs before the first refresh."""
        epoch, _ = epoch_and_place(step, batch["order"], config.train.batch_size, max(1, sizes.videos))
        begun = epoch >= min(config.pseudo.refresh_epochs, default=np.inf)
        labels = carried["labels"][:, batch["snippets"]]
        return vote(scores, labels, batch["labels"], batch["mask"] & begun[:, None], config.pseudo)

    def forward(variables, features, mask):
        return fuse(network.apply(variables, features, mask), weights)

    def inspect(variables, features, mask):
        """The attention and the class probabilities of every stream, for a refresh."""
        scores = network.apply(variables, features, mask).values()
        attention = jnp.stack([stream.attention for stream in scores], axis=-1)
        probabilities = jnp.stack([jax.nn.softmax(stream.cas) for stream in scores], axis=-2)
        return Outputs({"attention": attention, "probabilities": probabilities})

    def refresh(params, carried, look, step):
        outputs = look.run(inspect, {"params": params})
        labels, sure = pseudo_labels(outputs, look.split.videos, config.pseudo.attention_threshold)
        renewed = renew(jax.device_get(carried), labels, sure)
        return params, renewed, {"pseudo_labels": facts_of(renewed, streams, sure.shape[1], step)}

    refresh_at = {
        steps_within(epochs, config.train.batch_size, sizes.videos) for epochs in config.pseudo.refresh_epochs
    }
    return Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config.optimizer),
        variables=lambda params, carried: {"params": params},
        forward=forward,
        localize=lambda outputs: localize(outputs, config.proposals),
        class_scores=class_scores,
        probabilities=True,
        refresh_at=tuple(sorted(refresh_at)) if sizes.videos else (),
        refresh=refresh,
    )


def facts_of(carried, streams: tuple[str, ...], snippets: int, step: int) -> dict:
    """What a checkpoint says of the newest refresh: its step, and per stream the share of snippets with label 1."""
    shares = carried["labels"][:, :snippets].mean(axis=1).tolist()
    return {"step": step, "snippets": snippets, "action_share": dict(zip(streams, shares, strict=True))}


def check(config, sizes: Sizes) -> None:
    """Raises InputError for settings that MMSD cannot use."""
    check_model(config.model, sizes.width)
    check_pseudo(config.pseudo)
    check_loss(config.loss)
    check_optimizer(config.optimizer)
    check_proposals(config.proposals)
    rules.check("train", config.train, {"batches": rules.one_of("epochs")})


def check_model(model, width: int) -> None:
    """Raises InputError for values of `config.model` that make no network for features of width D."""
    rules.check(
        "model",
        model,
        {
            "dtype": rules.DTYPE,
            "embedding_width": rules.COUNT,
            "dropout": rules.BELOW_1,
            "scale": rules.POSITIVE,
        },
    )
    check_modalities(model, width)
    rules.check("model.stream_weights", model.stream_weights, dict.fromkeys(STREAMS[2], rules.NOT_NEGATIVE))
    if not any(model.stream_weights.values()):
        raise InputError("config.model.stream_weights are all 0, expected one stream or more with a weight above 0")
