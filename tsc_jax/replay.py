"""Runs a method on recorded batches: what the `parity` modules of methods share."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.data.batches import deal
from tsc_jax.method import AXIS, Method, TrainState, loss_gradients
from tsc_jax.training.parallel import make_train_step, replicate

Arrays = Mapping[str, np.ndarray]


def recorded_batch(features: np.ndarray, labels: np.ndarray, lengths: np.ndarray, devices: int) -> dict:
    """A padded batch as the train step takes it, dealt to `devices`; the videos are those of the training split.

    Args:
      features: float32 [B, T, D].
      labels: [B, C].
      lengths: int [B], in snippets.
      devices: InputError unless they divide B.
    """
    mask = np.arange(features.shape[1]) < lengths[:, None]
    first = np.cumsum(lengths) - lengths
    dealt = deal(len(features), 0, devices)
    batch = {
        "features": features.astype(np.float32),
        "mask": mask,
        "labels": labels.astype(bool),
        "video": np.arange(len(features), dtype=np.int32),
        "order": np.arange(len(features), dtype=np.int32),
        "snippets": np.where(mask, first[:, None] + np.arange(features.shape[1]), 0).astype(np.int32),
    }
    return {name: array[dealt.order] for name, array in batch.items()} | {"paired": dealt.paired}


def state_of(method: Method, params: Any, carried: Any, step: int = 0) -> TrainState:
    """A train state with a fresh optimizer."""
    return TrainState(jnp.int32(step), jnp.uint32(0), params, carried, method.optimizer.init(params))


def gradients_of(method: Method, state: TrainState, batch: dict) -> tuple[Any, dict[str, np.ndarray], Any]:
    """The gradients of the loss of a dealt batch, its values, and what is carried on (see `method.loss_gradients`).

    `method` is made with axis=AXIS.
    """
    return jax.device_get(gradient_program(method)(state, batch))


@functools.cache
def gradient_program(method: Method) -> Callable:
    """`method.loss_gradients` of a method, compiled once for all devices."""
    gradients = functools.partial(loss_gradients, method, AXIS)
    return jax.pmap(gradients, axis_name=AXIS, in_axes=(None, 0), out_axes=None)


step_program = functools.cache(make_train_step)


def take_steps(method: Method, state: TrainState, batch: dict, steps: int) -> list[tuple[TrainState, dict]]:
    """The state after each of some steps with one dealt batch, and the values of each step (before its update)."""
    train_step, taken = step_program(method), []
    state = replicate(state, len(batch["order"]))
    for _ in range(steps):
        state, values = train_step(state, batch)
        taken.append(jax.device_get((state, values)))
    return taken


def subset(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def prefixed(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    """The arrays with `prefix` before their names."""
    return {f"{prefix}{name}": np.asarray(array) for name, array in arrays.items()}
