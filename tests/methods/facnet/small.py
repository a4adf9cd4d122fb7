"""A small FAC-Net and batches for it."""

import jax
import ml_collections
import numpy as np

from configs import facnet_thumos14
from tsc_jax.method import Sizes
from tsc_jax.methods import facnet

CLASSES, WIDTH, CHANNELS = 3, 8, 6
LENGTHS = np.array([5, 1, 9, 4])


def small_config(**changes) -> ml_collections.ConfigDict:
    """The published recipe with a narrow embedding, one modality and no dropout."""
    config = facnet_thumos14.get_config()
    small = {"model.modalities": 1, "model.embedding_width": CHANNELS, "model.dropout": 0.0}
    config.update_from_flattened_dict(small | changes)
    return config


def make(width: int = WIDTH, **changes):
    """FAC-Net for features of some width."""
    return facnet.make(small_config(**changes), Sizes(CLASSES, width))


def with_biases(params, seed: int = 0):
    """The params with random biases, so that padding has an embedding too, and a foreground centre that has moved."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), params)


def ragged_batch(seed: int = 0, width: int = WIDTH, padding: int = 0, rubbish: float = 0.0) -> dict[str, np.ndarray]:
    """Videos of LENGTHS snippets, with `rubbish` after them; the first has two classes."""
    rng = np.random.default_rng(seed)
    mask = np.arange(LENGTHS.max() + padding) < LENGTHS[:, None]
    features = np.full((*mask.shape, width), rubbish, np.float32)
    features[mask] = rng.normal(size=(LENGTHS.sum(), width))
    labels = np.eye(CLASSES, dtype=bool)[np.arange(len(LENGTHS)) % CLASSES]
    labels[0, 1] = True
    places = np.arange(len(LENGTHS), dtype=np.int32)
    return {"features": features, "mask": mask, "labels": labels, "video": places, "order": places}


def only(batch: dict[str, np.ndarray], video: int) -> dict[str, np.ndarray]:
    """One video of a batch, without padding."""
    length = batch["mask"][video].sum()
    one = {name: array[[video]] for name, array in batch.items()}
    return one | {name: one[name][:, :length] for name in ("features", "mask")}
