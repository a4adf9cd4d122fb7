"""RSKP as a `Method`: how its network, its losses and its memory work together.

Training has two phases. In the first one the memory is empty; the refresh between the phases fills it with the
prototypes of all training videos; in the second one each video also learns from the prototypes in the memory.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.data.sampling import epoch_and_place, steps_within
from tsc_jax.errors import InputError
from tsc_jax.localization.class_tracks import check_proposals, class_scores, localize
from tsc_jax.method import Method, Outputs, Sizes
from tsc_jax.methods.rskp.losses import check_loss, loss_terms, video_losses
from tsc_jax.methods.rskp.memory import Memory, empty_memory, put, read_and_put_globally
from tsc_jax.methods.rskp.network import RSKP, fuse, make_network
from tsc_jax.nn.sampling import on_even_samples, take_evenly
from tsc_jax.optimizer import check_optimizer, make_optimizer


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds RSKP; see `methods.make`.

    params is the network's; carried holds the `Memory`, which inference does not need.
    """
    check(config)
    model, epochs, most = config.model, config.memory.warmup_epochs, labels_of_video(config.memory, sizes)
    network = make_network(model, sizes.classes, mapped)

    def init(key):
        features, mask = jnp.zeros((1, 1, sizes.width)), jnp.ones((1, 1), bool)
        params = jax.jit(network.init)(key, features, mask)["params"]
        return params, {"memory": empty_memory(sizes.classes, config.memory.slots, model.embedding_width)}

    def in_second_phase(batch, step):
        if not sizes.videos:
            return jnp.zeros(len(batch["order"]), bool)
        return epoch_and_place(step, batch["order"], config.train.batch_size, sizes.videos)[0] >= epochs

    def loss(params, carried, batch, key, step):
        variables, keys = {"params": params}, {"dropout": key}
        x = network.apply(variables, batch["features"], batch["mask"], batch["order"], method=RSKP.embed, rngs=keys)
        second = in_second_phase(batch, step)
        losses, memory = losses_of(network, variables, x, batch, second, carried["memory"], config, most, axis)
        return loss_terms(losses, batch["video"] >= 0, second, config.loss.weights), {"memory": memory}

    def forward(variables, features, mask):
        outputs = network.apply(variables, features, mask)
        cas, scores = fuse(outputs.main, outputs.intra, model.main_weight)
        return Outputs({"cas": cas, "attention": outputs.main.attention}, {"class_scores": scores})

    def prototypes(variables, features, mask):
        if model.test_snippets:
            features, mask = take_evenly(features, mask, model.test_snippets, 0)
        outputs = network.apply(variables, features, mask)
        return Outputs({}, {"prototypes": outputs.prototypes, "scores": outputs.prototype_scores})

    def refresh(params, carried, look, step):
        check_labels(look.split, most)
        if step != fill_at:
            return params, carried, {}
        memory = fill(empty_memory(*carried["memory"].prototypes.shape), look, prototypes, {"params": params}, most)
        return params, {"memory": memory}, {"memory": {"filled_at_step": step, "videos": len(look.split.videos)}}

    fill_at = steps_within(epochs, config.train.batch_size, sizes.videos)
    method = Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config.optimizer),
        variables=lambda params, carried: {"params": params},
        forward=forward,
        localize=lambda outputs: localize(outputs, config.proposals),
        class_scores=class_scores,
        probabilities=True,
        # The pass at the start only checks the labels, which would otherwise fail after all of the first phase.
        refresh_at=tuple(sorted({0, fill_at})) if sizes.videos else (),
        refresh=refresh,
    )
    number = model.test_snippets
    return on_even_samples(method, number, 0, of_videos={"class_scores"}) if number else method


def losses_of(
    network: RSKP, variables, x: jax.Array, batch: dict, second: jax.Array, memory: Memory, config, most: int, axis
) -> tuple[dict[str, jax.Array], Memory]:
    """The losses [B] of videos with embedded snippets x [B, T, E], and the memory after them.

    `second` bool [B] tells the videos in the second phase; only they, and only with labels, use the memory.
    """
    labels, mask = batch["labels"], batch["mask"]
    outputs = network.apply(variables, x, mask, method=RSKP.branches)
    memory, (read, valid) = read_and_put_globally(
        memory,
        outputs.prototypes,
        outputs.prototype_scores,
        labels & second[:, None],
        batch["order"],
        most,
        axis,
    )
    inter = network.apply(variables, x, mask, read, valid, method=RSKP.inter)
    has_inter = jnp.any(valid, axis=1)
    return video_losses(outputs.main, outputs.intra, inter, has_inter, labels, mask, config.loss), memory


def fill(memory: Memory, look, prototypes, variables, most: int) -> Memory:
    """The memory after the prototypes of all training videos, in the order of the split, without dropout."""
    put_one = jax.jit(put, static_argnames="most", donate_argnums=0)
    for video, output in zip(look.split.videos, look.run(prototypes, variables), strict=True):
        memory = put_one(memory, output["prototypes"], output["scores"], video.labels, most=most)
    return memory


def labels_of_video(memory, sizes: Sizes) -> int:
    """P, the largest number of classes of a video that the memory is read and written for."""
    return min(memory.labels or sizes.classes, sizes.classes)


def check_labels(split, most: int) -> None:
    """Raises InputError where a training video has more than `most` classes."""
    for video in split.videos:
        number = int(np.sum(video.labels))
        if number > most:
            raise InputError(f"config.memory.labels is {most}, but training video {video.name} has {number} classes")


def check(config) -> None:
    """Raises InputError for settings that RSKP cannot use."""
    counts = dict.fromkeys(("embedding_width", "prototypes", "em_rounds"), rules.COUNT)
    positive = dict.fromkeys(("assignment_scale", "scale"), rules.POSITIVE)
    shares = {"walk_weight": rules.BELOW_1, "dropout": rules.BELOW_1, "main_weight": rules.SHARE}
    types = {"dtype": rules.DTYPE, "test_snippets": rules.COUNT_OR_0}
    rules.check("model", config.model, counts | positive | shares | types)
    rules.check(
        "memory", config.memory, {"slots": rules.COUNT, "warmup_epochs": rules.COUNT_OR_0, "labels": rules.COUNT_OR_0}
    )
    rules.check("train", config.train, {"batches": rules.one_of("epochs"), "batch_size": rules.COUNT})
    check_loss(config.loss)
    check_optimizer(config.optimizer)
    check_proposals(config.proposals)
