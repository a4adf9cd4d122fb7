"""The train step over all devices: one run that they share, or several runs side by side.

One run: its batch has a leading axis of local devices. Several runs know nothing of each other: their batch has a
leading axis of runs, each device holds equally many of them, and the last ones may be copies that fill it up.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np

from tsc_jax import method as methods
from tsc_jax.method import AXIS, Method, TrainState


def make_train_step(method: Method, runs: int = 1) -> Callable:
    """`train_step(state, batch) -> (state, values)`, compiled for all local devices; the state is donated.

    Args:
      method: made with `axis=AXIS` for one run, with `mapped=True` for several.
      runs: how many are trained together; `on_devices` lays out their states.
    """
    if runs == 1:
        step = functools.partial(methods.train_step, method, AXIS)
        return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))
    parallel = jax.pmap(jax.vmap(functools.partial(methods.train_step, method, None)), donate_argnums=(0,))

    def step(state: TrainState, batch: dict) -> tuple[TrainState, dict[str, jax.Array]]:
        return parallel(state, jax.tree.map(lambda leaf: deal_runs(leaf, runs), batch))

    return step


def deal_runs(leaf: np.ndarray, runs: int) -> np.ndarray:
    """[runs, ...] -> [devices, runs per device, ...], filled up with copies of the first run."""
    each = -(-runs // jax.local_device_count())
    devices = -(-runs // each)
    places = np.arange(devices * each)
    return leaf[np.where(places < runs, places, 0)].reshape(devices, each, *leaf.shape[1:])


def on_devices(states: Sequence[TrainState]) -> TrainState:
    """The states of all runs as one, laid out as the train step returns it, so that it is compiled once."""
    if len(states) == 1:
        return replicate(states[0], jax.local_device_count())
    stacked = jax.tree.map(lambda *leaves: deal_runs(np.stack(leaves), len(states)), *states)
    return jax.pmap(lambda state: state)(stacked)


def replicate(state: TrainState, devices: int) -> TrainState:
    """A copy of the state on each of `devices` local devices."""
    copy = jax.pmap(lambda _, state: state, axis_name=AXIS, in_axes=(0, None), out_axes=None)
    return copy(np.zeros(devices), state)


def on_one_device(state: TrainState, run: int) -> TrainState:
    """The state of one run, on one device."""
    if state.step.ndim == 0:
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), state)
    place = np.unravel_index(run, state.step.shape)
    return jax.tree.map(lambda leaf: leaf[place], state)
