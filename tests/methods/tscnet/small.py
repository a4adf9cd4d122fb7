"""A small TSC-Net and made-up ragged batches."""

from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import thumos14
from tsc_jax.method import Sizes, TrainState
from tsc_jax.methods import tscnet
from tsc_jax.methods.tscnet.bank.state import new_bank
from tsc_jax.training.trained import Trained

CLASSES, WIDTH = 4, 16
SIZES = Sizes(CLASSES, WIDTH)


def small_config(**changes) -> ml_collections.ConfigDict:
    """The published recipe at a size for tests; `changes` by their dotted keys."""
    config = thumos14.get_config()
    small = {"optimizer.learning_rate": 1e-3, "model.attention_channels": 0.5}
    config.update_from_flattened_dict(small | changes)
    return config


def small_state(config: ml_collections.ConfigDict, seed: int = 0) -> TrainState:
    """A state of random numbers, without compiling the real start, whose normalisations would do nothing."""
    rng, method = np.random.default_rng(seed), tscnet.make(config, SIZES)

    def random(path, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if jax.tree_util.keystr(path).endswith("['var']"):
            return jnp.asarray(rng.uniform(0.5, 2, leaf.shape), jnp.float32)
        scale = 0.3 if leaf.ndim == 1 else (2 / np.prod(leaf.shape[:-1])) ** 0.5
        return jnp.asarray(scale * rng.normal(size=leaf.shape), jnp.float32)

    params, carried = jax.eval_shape(method.init, jax.random.key(0))
    rows = jnp.asarray(rng.normal(size=carried["bank"].fitted.shape), jnp.float32)
    network, batch_stats = jax.tree_util.tree_map_with_path(random, (params["network"], carried["batch_stats"]))
    params = {"network": network} | ({"bank": rows} if "bank" in params else {})
    carried = {"batch_stats": batch_stats, "bank": new_bank(rows, config.bank.update_rule)}
    return TrainState(jnp.int32(0), jnp.uint32(seed), params, carried, method.optimizer.init(params))


def small_variables(config: ml_collections.ConfigDict):
    """The variables of `small_state`, for inference."""
    state = small_state(config)
    return tscnet.make(config, SIZES).variables(state.params, state.carried)


def small_trained(config: ml_collections.ConfigDict) -> Trained:
    """A run that was never trained, with the weights of `small_state`."""
    classes = tuple(f"class {index}" for index in range(CLASSES))
    return Trained(Path("nowhere"), "last", 0, config, classes, SIZES, {"facts": {}}, small_variables(config))


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
        "video": np.arange(videos, dtype=np.int32),
        "order": np.arange(videos, dtype=np.int32),
        "snippets": np.arange(videos * length, dtype=np.int32).reshape(videos, length),
    }
