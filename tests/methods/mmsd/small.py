"""A small MMSD and made-up ragged batches."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import mmsd_thumos14
from tsc_jax.method import Method, Sizes, TrainState
from tsc_jax.methods import mmsd

CLASSES, WIDTH, VIDEOS, LENGTH = 4, 16, 8, 19
SIZES = Sizes(CLASSES, WIDTH, VIDEOS, VIDEOS * LENGTH)
AFTER = 1  # a step whose videos are in the second epoch, when pseudo labels count


def small_config(**changes) -> ml_collections.ConfigDict:
    """The published recipe at a size for tests; one step is one epoch. `changes` by their dotted keys."""
    config = mmsd_thumos14.get_config()
    small = {"model.embedding_width": 12, "train.batch_size": VIDEOS, "pseudo.refresh_epochs": (1, 3)}
    config.update_from_flattened_dict(small | {"optimizer.learning_rate": 1e-3} | changes)
    return config


def small_state(method: Method, step: int = AFTER, seed: int = 0) -> TrainState:
    """Initial params with biases, and random pseudo labels."""
    rng = np.random.default_rng(seed)
    params, carried = method.init(jax.random.key(seed))
    params = jax.tree.map(lambda leaf: leaf + jnp.asarray(0.1 * rng.normal(size=leaf.shape), jnp.float32), params)
    labels = jnp.asarray(rng.random(carried["labels"].shape) < 0.5)
    carried = {"labels": labels, "confidence": jnp.full(labels.shape, 0.5)}
    return TrainState(jnp.int32(step), jnp.uint32(seed), params, carried, method.optimizer.init(params))


def ragged_batch(videos: int = VIDEOS, length: int = LENGTH, seed: int = 0, width: int = WIDTH) -> dict:
    """Videos of 1 to `length` snippets, padded with rubbish."""
    rng = np.random.default_rng(seed)
    lengths = np.append(length, rng.integers(1, length + 1, videos - 1))
    labels = rng.random((videos, CLASSES)) < 0.4
    labels[np.arange(videos), rng.integers(CLASSES, size=videos)] = True
    mask = np.arange(length) < lengths[:, None]
    first = np.cumsum(lengths) - lengths
    return {
        "features": np.abs(rng.normal(size=(videos, length, width))).astype(np.float32),
        "labels": labels,
        "mask": mask,
        "paired": np.zeros(videos // 2, bool),
        "video": np.arange(videos, dtype=np.int32),
        "order": np.arange(videos, dtype=np.int32),
        "snippets": np.where(mask, first[:, None] + np.arange(length), 0).astype(np.int32),
    }


def of_video(batch: dict, row: int) -> dict:
    """One video of a batch at its own length; it keeps its place in the batch."""
    length = int(batch["mask"][row].sum())
    cut = {name: batch[name][row : row + 1, :length] for name in ("features", "mask", "snippets")}
    return {name: array[row : row + 1] for name, array in batch.items()} | cut | {"paired": np.zeros(0, bool)}


def make(config: ml_collections.ConfigDict, sizes: Sizes = SIZES, **options) -> Method:
    """The method for small sizes."""
    return mmsd.make(config, sizes, **options)
