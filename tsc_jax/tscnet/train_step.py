"""The state of a training run and the step that advances it, pure and parallel over devices."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from tsc_jax.tscnet import losses
from tsc_jax.tscnet.bank import Bank
from tsc_jax.tscnet.network import TSCNet, make_network

AXIS = "devices"


@struct.dataclass
class TrainState:
    """Everything that training changes, without a device axis.

    Attributes:
      step: number of steps taken.
      params: parameters of the network, float32.
      batch_stats: running statistics of its batch normalisations.
      bank: the semantics bank.
      opt_state: of the optimizer.
    """

    step: jax.Array
    params: dict
    batch_stats: dict
    bank: Bank
    opt_state: optax.OptState


def make_optimizer(settings) -> optax.GradientTransformation:
    """Adam with coupled weight decay: added to the gradient, before the moments (published). `config.optimizer`."""
    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon),
        optax.scale_by_learning_rate(settings.learning_rate),
    )


def trainable(params: dict, rows: jax.Array, update: str) -> dict:
    """What the optimizer moves: the parameters, and the bank's rows under the rule "gradient"."""
    return {"params": params, "bank": rows} if update == "gradient" else {"params": params}


def init_variables(network: TSCNet, bank_rows: jax.Array, seed: int) -> dict:
    """The network's parameters and batch statistics at step 0; they do not depend on batch or length."""
    features = jnp.zeros((1, 1, bank_rows.shape[1]))
    return network.init(jax.random.key(seed), features, bank_rows, jnp.ones((1, 1), bool))


def init_state(config, classes: int, bank: Bank) -> TrainState:
    """The state before the first step."""
    network = make_network(config.model, classes, bank.rows.shape[1])
    variables = jax.jit(init_variables, static_argnums=(0, 2))(network, bank.rows, config.train.seed)
    moved = trainable(variables["params"], bank.rows, config.bank.update_rule)
    return TrainState(
        step=jnp.int32(0),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        bank=bank,
        opt_state=make_optimizer(config.optimizer).init(moved),
    )


def make_train_step(config, classes: int, width: int) -> Callable:
    """`train_step(state, batch) -> (state, losses)`, pmapped over all devices of all processes.

    The batch is a dict with a leading axis of local devices: features float32 [B, T, D], labels
    bool [B, C], mask bool [B, T], paired bool [B // 2], rows int [B] (place in the global batch).
    The state has no device axis and is donated. `losses` holds each term's mean over the global
    batch and their weighted sum "total".
    """
    network = make_network(config.model, classes, width, AXIS)
    optimizer = make_optimizer(config.optimizer)
    update = config.bank.update_rule
    settings = config.loss

    def device_loss(moved: dict, state: TrainState, batch: dict):
        """This device's share of the loss: summed over devices it is the loss of the global batch."""
        rows = moved.get("bank", state.bank.rows)
        outputs, new = network.apply(
            {"params": moved["params"], "batch_stats": state.batch_stats},
            batch["features"],
            rows,
            batch["mask"],
            train=True,
            rows=batch["rows"],
            rngs={"dropout": jax.random.fold_in(jax.random.key(config.train.seed), state.step)},
            mutable=["batch_stats"],
        )
        terms = losses.loss_terms(outputs, batch["labels"], batch["mask"], batch["paired"], settings)
        counts = jax.lax.psum({name: term.count for name, term in terms.items()}, AXIS)
        shares = {name: term.sum / jnp.maximum(counts[name], 1) for name, term in terms.items()}
        total = losses.total(shares, settings)
        return total, (shares | {"total": total}, new["batch_stats"])

    def train_step(state: TrainState, batch: dict) -> tuple[TrainState, dict[str, jax.Array]]:
        moved = trainable(state.params, state.bank.rows, update)
        gradients, (shares, batch_stats) = jax.grad(device_loss, has_aux=True)(moved, state, batch)
        gradients, means = jax.lax.psum((gradients, shares), AXIS)
        updates, opt_state = optimizer.update(gradients, state.opt_state, moved)
        moved = optax.apply_updates(moved, updates)
        bank = state.bank.replace(rows=moved.get("bank", state.bank.rows))
        return TrainState(state.step + 1, moved["params"], batch_stats, bank, opt_state), means

    return jax.pmap(train_step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))


def replicate(state: TrainState, devices: int) -> TrainState:
    """A copy of the state on `devices` local devices, laid out as the train step returns it: so it compiles once."""
    copy = jax.pmap(lambda _, state: state, axis_name=AXIS, in_axes=(0, None), out_axes=None)
    return copy(np.zeros(devices), state)


def on_one_device(state: TrainState) -> TrainState:
    """The same state as seen by the first device of this process, for programs that run there alone."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), state)


def count_parameters(state: TrainState) -> int:
    """Number of trainable parameters, the bank included."""
    return sum(np.size(leaf) for leaf in jax.tree.leaves((state.params, state.bank.rows)))
