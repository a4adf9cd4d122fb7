"""The memory of the best prototypes of each class, from all training videos.

It is read and written video by video, in the order of the global batch: a video reads what those before it have
put, and never its own prototypes of the same pass. No gradient runs through it.

Letters: C classes, S slots of a class, E width of the embedding, K prototypes of a video, B videos, P the largest
number of classes of a video.
"""

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Memory:
    """The prototypes with the largest scores of each class, by falling score; zeros where there is none yet."""

    prototypes: jax.Array  # float32 [C, S, E], as EM left them
    scores: jax.Array  # float32 [C, S], class probabilities at the time when they were put


def empty_memory(classes: int, slots: int, width: int) -> Memory:
    """A memory without prototypes."""
    return Memory(jnp.zeros((classes, slots, width)), jnp.zeros((classes, slots)))


def classes_of(labels: jax.Array, most: int) -> tuple[jax.Array, jax.Array]:
    """The first `most` classes of a video with labels bool [C], rising: int [P], and bool [P], False after the last."""
    classes = jnp.argsort(~labels, stable=True)[:most]
    return classes, labels[classes]


def put(memory: Memory, prototypes: jax.Array, scores: jax.Array, labels: jax.Array, most: int) -> Memory:
    """The memory after the prototypes [K, E] of one video, with class probabilities `scores` [K, C + 1].

    Each class of the video keeps the S best of its slots and of the prototypes. Of equal scores the older one stays.
    """
    (number, slots), (classes, valid) = memory.scores.shape, classes_of(labels, most)
    all_scores = jnp.concatenate([memory.scores[classes], scores.T[classes]], axis=1)
    new = jnp.broadcast_to(prototypes, (len(classes), *prototypes.shape))
    everything = jnp.concatenate([memory.prototypes[classes], new], axis=1)
    best = jnp.argsort(-all_scores, axis=1, stable=True)[:, :slots]
    # Places outside of the memory are dropped.
    places = jnp.where(valid, classes, number)
    return Memory(
        memory.prototypes.at[places].set(jnp.take_along_axis(everything, best[..., None], axis=1), mode="drop"),
        memory.scores.at[places].set(jnp.take_along_axis(all_scores, best, axis=1), mode="drop"),
    )


def read(memory: Memory, labels: jax.Array, most: int) -> tuple[jax.Array, jax.Array]:
    """All slots of the classes of one video: prototypes [P S, E], and bool [P S], whether they are of its classes."""
    classes, valid = classes_of(labels, most)
    slots, width = memory.prototypes.shape[1:]
    return memory.prototypes[classes].reshape(-1, width), jnp.repeat(valid, slots)


def read_and_put(
    memory: Memory, prototypes: jax.Array, scores: jax.Array, labels: jax.Array, most: int
) -> tuple[Memory, tuple[jax.Array, jax.Array]]:
    """The memory after all B videos in their order, and what each has read (see `read`): [B, P S, E] and [B, P S].

    A video without labels, bool [B, C], reads and puts nothing.
    """

    def of_video(memory: Memory, video: tuple) -> tuple[Memory, tuple]:
        return put(memory, *video, most), read(memory, video[-1], most)

    return jax.lax.scan(of_video, memory, (prototypes, scores, labels))


def read_and_put_globally(
    memory: Memory,
    prototypes: jax.Array,
    scores: jax.Array,
    labels: jax.Array,
    order: jax.Array,
    most: int,
    axis: str | None,
) -> tuple[Memory, tuple[jax.Array, jax.Array]]:
    """`read_and_put` of the global batch, of which each device along `axis` holds some videos.

    `order` int [B] is the place of each video in the global batch. The memory is equal on all devices; what was read
    is that of the device's own videos.
    """
    videos = jax.lax.stop_gradient((prototypes, scores, labels))
    places = order
    if axis is not None:
        *videos, places = jax.lax.all_gather((*videos, order), axis, tiled=True)
    in_order = jnp.argsort(places)
    memory, (read_ones, valid) = read_and_put(memory, *(array[in_order] for array in videos), most)
    return memory, (read_ones[order], valid[order])
