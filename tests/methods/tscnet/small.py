"""A small TSC-Net and made-up ragged batches, for tests."""

import jax
import jax.numpy as jnp
import numpy as np

from configs import thumos14
from tsc_jax.methods.tscnet.bank import BankFit, new_bank
from tsc_jax.methods.tscnet.train_step import TrainState, init_state

CLASSES, WIDTH = 4, 16


def small_config(dropout: bool = True):
    """The published recipe at a size for tests."""
    config = thumos14.get_config()
    config.optimizer.learning_rate = 1e-3
    config.model.attention_channels = 0.5
    if not dropout:
        for name in ("dsa_bank_dropout", "dsa_dropout", "classifier_dropout", "attention_dropout"):
            config.model[name] = 0.0
    return config


def small_state(config, seed: int = 0) -> TrainState:
    """A state whose batch normalisations do something: scales and biases start at 0 otherwise."""
    rng = np.random.default_rng(seed)
    rows = jnp.array(rng.normal(size=(CLASSES + 1, WIDTH)), jnp.float32)
    state = init_state(config, CLASSES, new_bank(rows, BankFit()))

    def stir(path, leaf):
        stirred = any(key in jax.tree_util.keystr(path) for key in ("norm", "bias"))
        return leaf + jnp.array(rng.normal(size=leaf.shape) * 0.3, jnp.float32) if stirred else leaf

    return state.replace(params=jax.tree_util.tree_map_with_path(stir, state.params))


def ragged_batch(videos: int, length: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Videos of 1 to `length` snippets, padded with rubbish; every two neighbours share a class."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, length + 1, videos)
    lengths[0] = length
    labels = rng.random((videos, CLASSES)) < 0.4
    labels[np.arange(videos), np.repeat(rng.integers(CLASSES, size=(videos + 1) // 2), 2)[:videos]] = True
    return {
        "features": np.abs(rng.normal(size=(videos, length, WIDTH))).astype(np.float32),
        "labels": labels,
        "mask": np.arange(length) < lengths[:, None],
        "paired": np.ones(videos // 2, bool),
        "rows": np.arange(videos, dtype=np.int32),
        "seed": np.int32(0),
    }
