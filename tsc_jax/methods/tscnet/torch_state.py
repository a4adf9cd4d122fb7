"""A training state as the tensors of the published PyTorch implementation, and back.

Every tensor is used exactly once: what lacks, what nobody asked for and what has another shape is
named. PyTorch counts the steps in each of its four BatchNorms; here that is the state's step.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet import torch_names
from tsc_jax.methods.tscnet.bank import BankFit, new_bank
from tsc_jax.methods.tscnet.train_step import TrainState, begin_averages, init_state

COUNTERS = tuple(f"{norm}.num_batches_tracked" for norm in torch_names.NORMS)

# PyTorch's tensors do not tell how the bank was fitted.
UNKNOWN_FIT = BankFit()


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the shapes of the tensors say.

    Attributes:
      classes: C.
      width: D.
      bank_rows: K.
      attention_channels: width of the attentions' hidden layers.
      bank_name: of the bank's tensor; it depends on the data set.
    """

    classes: int
    width: int
    bank_rows: int
    attention_channels: int
    bank_name: str


def read_sizes(tensors: Mapping[str, np.ndarray]) -> Sizes:
    """The sizes of the network that the tensors belong to; InputError if they cannot be told."""
    bank_names = [name for name in torch_names.BANK_NAMES if name in tensors]
    if len(bank_names) != 1:
        found = " and ".join(bank_names) or "neither"
        raise InputError(f"expected one semantics bank, {' or '.join(torch_names.BANK_NAMES)}; found {found}")

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in tensors:
            raise InputError(f"tensor {name} is missing")
        if tensors[name].ndim != rank:
            raise InputError(f"tensor {name} has shape {tensors[name].shape}, expected {rank} axes")
        return tensors[name].shape

    bank_shape = shape(bank_names[0], published_bank(np.zeros((1, 1)), bank_names[0]).ndim)
    return Sizes(
        classes=shape("time_classifier.3.weight", 3)[0] - 1,
        width=shape("conv_1x1.weight", 3)[0],
        bank_rows=bank_shape[-2],
        attention_channels=shape("time_Attn.0.weight", 3)[0],
        bank_name=bank_names[0],
    )


def published_bank(rows: np.ndarray, bank_name: str) -> np.ndarray:
    """Bank rows [K, D] in the layout of the tensor `bank_name`: THUMOS-14's has an axis of length 1 in front."""
    return rows[None] if bank_name == "clustering_thumos_train" else rows


def from_tensors(tensors: Mapping[str, np.ndarray], config) -> TrainState:
    """The state of a network of `config` that holds these tensors; the optimizer starts afresh.

    Numbers of other floating types are turned into float32.

    Raises:
      InputError: a tensor is missing, unexpected, of another shape or type, or not finite; the
        BatchNorms disagree on the step.
    """
    sizes = read_sizes(tensors)
    bank = new_bank(jnp.zeros((sizes.bank_rows, sizes.width)), UNKNOWN_FIT)
    template = jax.eval_shape(lambda: init_state(config, sizes.classes, bank))
    shapes = expected_shapes(template, sizes.bank_name)
    check_tensors(tensors, shapes)
    floats = {name: np.asarray(tensors[name], np.float32) for name in shapes if name not in COUNTERS}
    variables = torch_names.to_variables(floats)
    state = TrainState(
        step=np.int32(read_step(tensors)),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        bank=new_bank(floats[sizes.bank_name].reshape(sizes.bank_rows, sizes.width), UNKNOWN_FIT),
        opt_state=jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template.opt_state),
        averages={},
    )
    return begin_averages(state, config.optimizer.average_decay)


def to_tensors(state: TrainState, bank_name: str) -> dict[str, np.ndarray]:
    """The tensors of a state under their PyTorch names, in PyTorch's layouts; not the optimizer's."""
    tensors = torch_names.to_state_dict({"params": state.params, "batch_stats": state.batch_stats})
    bank = {bank_name: published_bank(np.asarray(state.bank.rows), bank_name)}
    counters = dict.fromkeys(COUNTERS, np.array(state.step, np.int64))
    return bank | tensors | counters


def expected_shapes(template: TrainState, bank_name: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, in PyTorch's layouts, of a state that has the template's."""
    blank = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), template)
    return {name: tensor.shape for name, tensor in to_tensors(blank, bank_name).items()}


def check_tensors(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises InputError unless there is exactly one sound tensor for every shape."""
    for wrong, names in (("missing", shapes.keys() - tensors.keys()), ("unexpected", tensors.keys() - shapes.keys())):
        if names:
            raise InputError(f"{wrong} tensor{'s' * (len(names) > 1)}: {', '.join(sorted(names))}")
    for name, shape in shapes.items():
        tensor, kind = tensors[name], "integer" if name in COUNTERS else "floating"
        if tensor.shape != shape:
            raise InputError(f"tensor {name} has shape {tensor.shape}, expected {shape}")
        if not jnp.issubdtype(tensor.dtype, getattr(jnp, kind)):
            raise InputError(f"tensor {name} has type {tensor.dtype}, expected {kind} numbers")
        if kind == "floating" and not np.isfinite(np.asarray(tensor, np.float32)).all():
            raise InputError(f"tensor {name} holds NaN or infinite numbers")


def read_step(tensors: Mapping[str, np.ndarray]) -> int:
    """The number of steps, on which all BatchNorms must agree."""
    steps = {int(tensors[name]) for name in COUNTERS}
    if len(steps) > 1:
        counts = ", ".join(f"{name} {int(tensors[name])}" for name in COUNTERS)
        raise InputError(f"the BatchNorms were called different numbers of times: {counts}")
    step = steps.pop()
    if not 0 <= step < 2**31:
        raise InputError(f"num_batches_tracked is {step}, expected a number of steps")
    return step
