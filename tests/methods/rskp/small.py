"""A small RSKP, and made-up batches for it."""

import jax.numpy as jnp
import numpy as np

from configs import rskp_thumos14
from tsc_jax.method import Sizes, TrainState, first_state
from tsc_jax.methods import rskp

CLASSES, WIDTH, VIDEOS = 3, 7, 6
SIZES = Sizes(CLASSES, WIDTH, VIDEOS, 100)
LENGTHS = np.array([9, 1, 12, 4])


def small_config(**changes):
    """The published recipe at small sizes: 4 videos per step, the second phase from the third epoch on."""
    config = rskp_thumos14.get_config()
    small = {"model.embedding_width": 8, "model.prototypes": 4, "memory.slots": 3, "memory.warmup_epochs": 2}
    small |= {"train.batch_size": 4, "optimizer.learning_rate": 1e-3}
    config.update_from_flattened_dict(small | changes)
    return config


def small_method(axis=None, **changes):
    return rskp.make(small_config(**changes), SIZES, axis)


def small_batch(lengths=LENGTHS, seed: int = 0) -> dict:
    """Videos with one, two, no and one label; one embedded snippet has only zeros."""
    rng, number = np.random.default_rng(seed), len(lengths)
    mask = np.arange(max(lengths)) < np.asarray(lengths)[:, None]
    features = rng.normal(size=(*mask.shape, WIDTH)).astype(np.float32)
    features[0, 1:2] = 0
    labels = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]], bool)[:number]
    return {
        "features": np.where(mask[..., None], features, 0),
        "mask": mask,
        "labels": labels,
        "video": np.arange(number, dtype=np.int32),
        "order": np.arange(number, dtype=np.int32),
        "snippets": np.zeros(mask.shape, np.int32),
        "paired": np.zeros(number // 2, bool),
    }


def state_at(method, step: int) -> TrainState:
    return first_state(method, 0).replace(step=jnp.int32(step))
