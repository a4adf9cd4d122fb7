"""What a method is, and the train step that all methods share.

A method is a frozen dataclass of pure functions; `tsc_jax.methods.make` builds the one that `config.method` names.
Everything that training changes is in `TrainState`: arrays only.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

AXIS = "devices"  # the pmap axis of a run that all devices share


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of the data that a method is built for."""

    classes: int  # C
    width: int  # D
    videos: int = 0  # number of videos that are trained on; 0 where it is not known (imported weights)
    # S, number of snippets of all training videos, those held out included, so that it is the same for all seeds; 0
    # where it is not known
    snippets: int = 0


@struct.dataclass
class TrainState:
    """Everything that training changes, without a device axis."""

    step: jax.Array  # int32 [], number of steps taken
    seed: jax.Array  # uint32 [], seed of the run
    params: Any  # pytree that the optimizer moves
    carried: Any  # pytree that it does not move: batch statistics, a bank, pseudo labels
    opt_state: optax.OptState  # state of the optimizer


@struct.dataclass
class Term:
    """One term of a loss, before the division."""

    sum: jax.Array  # float32 [], over the videos of this device
    # float32 [], divisor of the sum; both are added over devices first. None: the sum is the loss.
    count: jax.Array | None = None
    weight: jax.Array | float = 1.0  # of the term in the total loss


@struct.dataclass
class Outputs:
    """The outputs of a forward pass over B videos, for localization."""

    # arrays [B, T, ...] by name; "cas" [B, T, C + 1] and "attention" [B, T] are always there
    snippets: dict[str, jax.Array]
    videos: dict[str, jax.Array] = struct.field(default_factory=dict)  # arrays [B, ...] by name


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of weakly-supervised temporal action localization.

    A batch is a dict: features float32 [B, T, D], mask bool [B, T], labels bool [B, C], video int32 [B] (index in the
    training split, -1 for an empty row), order int32 [B] (place in the global batch), snippets int32 [B, T] (index
    among all training snippets) and paired bool [B // 2] (whether rows 2p and 2p + 1 share a class).
    """

    init: Callable  # key -> params, carried
    # params, carried, batch, key, step -> {name: Term}, carried. What is carried is equal on all devices.
    loss: Callable
    optimizer: optax.GradientTransformation  # moves params
    variables: Callable  # params, carried -> what `forward` needs; exports hold nothing else
    forward: Callable  # variables, features [B, T, D], mask [B, T] -> Outputs
    # sequence with a dict of the outputs of each video, NumPy, without padding -> Segments in snippets
    localize: Callable
    # the same sequence -> class scores [V, C], floats; they rank the videos for the classification mAP and gate
    # classes
    class_scores: Callable
    refresh_at: tuple[int, ...] = ()  # the steps before which `refresh` is called; 0 is the start of the run
    # params, carried, look, step -> params, carried, facts (plain JSON for checkpoints); `look` is an
    # `inference.Look` at the training split
    refresh: Callable | None = None
    # whether "cas" holds values from 0 to 1 that can stand for class probabilities; else it holds logits
    probabilities: bool = False
    # step -> learning rate, for the log; None: that of `tsc_jax.optimizer`
    learning_rate: Callable | None = None


def prefixed(outputs: Outputs, prefix: str) -> Outputs:
    """The outputs under the names PREFIX/NAME, so that a stage can hand on those of its base beside its own."""
    named = ({f"{prefix}/{name}": array for name, array in part.items()} for part in (outputs.snippets, outputs.videos))
    return Outputs(*named)


def without_prefix(output: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Of the outputs of one video, those that `prefixed` renamed, under their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in output.items() if name.startswith(start)}


def class_probabilities(method: Method, outputs: Outputs) -> jax.Array:
    """The probabilities [B, T, C + 1] of classes and background that the outputs of `method` give every snippet."""
    cas = outputs.snippets["cas"].astype(jnp.float32)
    return cas if method.probabilities else jax.nn.softmax(cas)


def no_progress(snippets: int) -> None:
    """Hears that `snippets` more are done, and tells nobody."""


def first_state(method: Method, seed: int) -> TrainState:
    """The state before the first step, and before a refresh at step 0."""
    params, carried = method.init(jax.random.key(seed))
    return TrainState(jnp.int32(0), jnp.uint32(seed), params, carried, method.optimizer.init(params))


def train_step(
    method: Method, axis: str | None, state: TrainState, batch: dict[str, jax.Array]
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Takes one step; runs inside pmap over `axis`, or alone on one device.

    Returns:
      The new state, and the value of every term over the global batch with their weighted sum "total".
    """
    gradients, values, carried = loss_gradients(method, axis, state, batch)
    updates, opt_state = method.optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return state.replace(step=state.step + 1, params=params, carried=carried, opt_state=opt_state), values


def loss_gradients(
    method: Method, axis: str | None, state: TrainState, batch: dict[str, jax.Array]
) -> tuple[Any, dict[str, jax.Array], Any]:
    """The gradients of the loss of the global batch, its values (see `train_step`), and what is carried on."""

    def over_devices(tree):
        return tree if axis is None else jax.lax.psum(tree, axis)

    def device_loss(params):
        """This device's share of the loss: summed over devices, it is the loss of the global batch."""
        key = jax.random.fold_in(jax.random.key(state.seed), state.step)
        terms, carried = method.loss(params, state.carried, batch, key, state.step)
        counts = over_devices({name: term.count for name, term in terms.items() if term.count is not None})
        shares = {
            name: term.sum / jnp.maximum(counts[name], 1) if name in counts else term.sum
            for name, term in terms.items()
        }
        total = sum(term.weight * shares[name] for name, term in terms.items())
        return total, (shares | {"total": total}, carried)

    gradients, (shares, carried) = jax.grad(device_loss, has_aux=True)(state.params)
    return *over_devices((gradients, shares)), carried
