"""The state of a training run and the step that advances it, pure and parallel over devices."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet import losses
from tsc_jax.methods.tscnet.bank import Bank, BankFit
from tsc_jax.methods.tscnet.bank.update import evidence, update
from tsc_jax.methods.tscnet.network import TSCNet, make_network
from tsc_jax.methods.tscnet.outputs import fuse, fuse_features
from tsc_jax.nn.layers import many_kernels

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
      averages: running averages of params, batch_stats and bank rows, which inference then uses; {} where
        config.optimizer.average_decay is 0.
    """

    step: jax.Array
    params: dict
    batch_stats: dict
    bank: Bank
    opt_state: optax.OptState
    averages: dict


def check_optimizer(settings) -> None:
    """Raises InputError where `config.optimizer` holds what cannot be."""
    if settings.decay_steps < 0:
        raise InputError(f"config.optimizer.decay_steps is {settings.decay_steps}, expected 0 or more")
    if not 0 <= settings.average_decay <= 1:
        raise InputError(f"config.optimizer.average_decay is {settings.average_decay}, expected 0 to 1")


def make_optimizer(settings) -> optax.GradientTransformation:
    """Adam with coupled weight decay: added to the gradient, before the moments (published). `config.optimizer`."""
    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon),
        optax.scale_by_learning_rate(learning_rate(settings)),
    )


def learning_rate(settings) -> float | optax.Schedule:
    """Constant (published), or falling to 0 along a cosine over `decay_steps` steps."""
    if not settings.decay_steps:
        return settings.learning_rate
    return optax.cosine_decay_schedule(settings.learning_rate, settings.decay_steps)


def trainable(params: dict, rows: jax.Array, rule: str) -> dict:
    """What the optimizer moves: the parameters, and the bank's rows under the rule "gradient"."""
    return {"params": params, "bank": rows} if rule == "gradient" else {"params": params}


def init_variables(network: TSCNet, bank_rows: jax.Array, seed: int) -> dict:
    """The network's parameters and batch statistics at step 0; they do not depend on batch or length."""
    features = jnp.zeros((1, 1, bank_rows.shape[1]))
    return network.init(jax.random.key(seed), features, bank_rows, jnp.ones((1, 1), bool))


def init_state(config, classes: int, bank: Bank) -> TrainState:
    """The state before the first step."""
    network = make_network(config.model, classes, bank.rows.shape[1])
    variables = jax.jit(init_variables, static_argnums=(0, 2))(network, bank.rows, config.train.seed)
    moved = trainable(variables["params"], bank.rows, config.bank.update_rule)
    state = TrainState(
        step=jnp.int32(0),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        bank=bank,
        opt_state=make_optimizer(config.optimizer).init(moved),
        averages={},
    )
    return begin_averages(state, config.optimizer.average_decay)


def begin_averages(state: TrainState, decay: float) -> TrainState:
    """The state with averages of itself alone, if any are wanted."""
    # Copies: the train step is given both, and may not be given one buffer twice.
    return state.replace(averages=jax.tree.map(jnp.copy, averaged(state)) if decay else {})


def averaged(state: TrainState) -> dict:
    """What `averages` are of."""
    return {"params": state.params, "batch_stats": state.batch_stats, "rows": state.bank.rows}


def average(state: TrainState, decay: float) -> TrainState:
    """The state after a step with that step in its averages, which in the beginning forget sooner."""
    if not decay:
        return state
    kept = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
    mix = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, state.averages, averaged(state))
    return state.replace(averages=mix)


def for_inference(state: TrainState) -> TrainState:
    """The state with its averages, where it has some, in place of what they are of."""
    if not state.averages:
        return state
    rows = state.averages["rows"]
    own = {name: state.averages[name] for name in ("params", "batch_stats")}
    return state.replace(**own, bank=state.bank.replace(rows=rows), averages={})


def make_train_step(config, classes: int, width: int, replicas: int = 1) -> Callable:
    """`train_step(state, batch) -> (state, losses)`, pmapped over devices.

    The batch is a dict of features float32 [B, T, D], labels bool [B, C], mask bool [B, T], paired bool [B // 2],
    rows int [B] (place in the global batch) and seed int [] (of the dropout), with leading axes. The state is
    donated. `losses` holds each term's mean over the global batch and their weighted sum "total".

    One replica is spread over all devices of all processes: the batch has a leading axis of local devices. Several
    stay whole, equally many on each device: the batch has a leading axis of replicas. `on_devices` lays out the state.
    """
    axis = AXIS if replicas == 1 else None
    network = make_network(config.model, classes, width, axis)
    optimizer = make_optimizer(config.optimizer)
    rule, settings = config.bank.update_rule, config.loss

    def over_devices(tree):
        """Sums over the devices that share a replica."""
        return tree if axis is None else jax.lax.psum(tree, axis)

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
            rngs={"dropout": jax.random.fold_in(jax.random.key(batch["seed"]), state.step)},
            mutable=["batch_stats"],
        )
        terms = losses.loss_terms(outputs, batch["labels"], batch["mask"], batch["paired"], settings)
        counts = over_devices({name: term.count for name, term in terms.items()})
        shares = {name: term.sum / jnp.maximum(counts[name], 1) for name, term in terms.items()}
        total = losses.total(shares, settings)
        shown = None
        if rule == "ema":
            weight = config.model.fusion_weight
            fused = fuse_features(outputs, weight), fuse(outputs, weight)[1]
            shown = evidence(*fused, batch["labels"], batch["mask"])
        return total, (shares | {"total": total}, shown, new.get("batch_stats", {}))

    def train_step(state: TrainState, batch: dict) -> tuple[TrainState, dict[str, jax.Array]]:
        moved = trainable(state.params, state.bank.rows, rule)
        gradients, (shares, shown, batch_stats) = jax.grad(device_loss, has_aux=True)(moved, state, batch)
        gradients, means, shown = over_devices((gradients, shares, shown))
        updates, opt_state = optimizer.update(gradients, state.opt_state, moved)
        moved = optax.apply_updates(moved, updates)
        bank = update(state.bank, rule, moved.get("bank"), shown, config.bank.momentum)
        new = TrainState(state.step + 1, moved["params"], batch_stats, bank, opt_state, state.averages)
        return average(new, config.optimizer.average_decay), means

    if replicas > 1:
        return several(train_step, replicas)
    return jax.pmap(train_step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))


def several(train_step: Callable, replicas: int) -> Callable:
    """The step of replicas that know nothing of each other: over devices first, then side by side on each."""

    def many(state: TrainState, batch: dict) -> tuple[TrainState, dict[str, jax.Array]]:
        with many_kernels():
            return jax.vmap(train_step)(state, batch)

    parallel = jax.pmap(many, donate_argnums=(0,))

    def step(state: TrainState, batch: dict) -> tuple[TrainState, dict[str, jax.Array]]:
        return parallel(state, jax.tree.map(lambda leaf: deal_replicas(leaf, replicas), batch))

    return step


def deal_replicas(leaf: np.ndarray, replicas: int) -> np.ndarray:
    """[replicas, ...] -> [devices, replicas of a device, ...], on the most local devices that get equally many."""
    devices = max(number for number in range(1, jax.local_device_count() + 1) if replicas % number == 0)
    return leaf.reshape(devices, -1, *leaf.shape[1:])


def on_devices(states: Sequence[TrainState]) -> TrainState:
    """The states of all replicas as one, as the train step takes them.

    What several have in common is their structure, the first one's account of its bank included.
    """
    if len(states) == 1:
        return replicate(states[0], jax.local_device_count())
    leaves = [np.stack(each) for each in zip(*map(jax.tree.leaves, states), strict=True)]
    dealt = [deal_replicas(leaf, len(states)) for leaf in leaves]
    return jax.pmap(lambda state: state)(jax.tree.unflatten(jax.tree.structure(states[0]), dealt))


def replicate(state: TrainState, devices: int) -> TrainState:
    """A copy of the state on `devices` local devices, laid out as the train step returns it: so it compiles once."""
    copy = jax.pmap(lambda _, state: state, axis_name=AXIS, in_axes=(0, None), out_axes=None)
    return copy(np.zeros(devices), state)


def on_one_device(state: TrainState, replica: int, fit: BankFit) -> TrainState:
    """One replica of a state of `on_devices` as one device sees it, for programs that run there alone."""
    if state.step.ndim == 0:
        own = jax.tree.map(lambda leaf: leaf.addressable_data(0), state)
    else:
        place = np.unravel_index(replica, state.step.shape)
        own = jax.tree.map(lambda leaf: leaf[place], state)
    return own.replace(bank=own.bank.replace(fit=fit))


def count_parameters(state: TrainState) -> int:
    """Number of parameters, the bank's rows included."""
    return sum(np.size(leaf) for leaf in jax.tree.leaves((state.params, state.bank.rows)))
