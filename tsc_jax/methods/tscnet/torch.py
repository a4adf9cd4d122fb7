"""TSC-Net's variables as the tensors of the published PyTorch implementation, and back.

Every tensor is used exactly once: a missing, an unexpected and a misshapen tensor is named. PyTorch counts the steps in
each of its four BatchNorms; here the train state has one count.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.methods.tscnet import torch_names
from tsc_jax.methods.tscnet.bank.fit import number_of_rows
from tsc_jax.methods.tscnet.bank.state import new_bank
from tsc_jax.torch.tensors import check_tensors, shape_of

LAYOUTS = ("thumos", "activitynet")  # of the bank: its name and shape differ between the two data sets
COUNTERS = tuple(f"{norm}.num_batches_tracked" for norm in torch_names.NORMS)

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorSizes:
    """The sizes that the shapes of the tensors tell."""

    classes: int  # C
    width: int  # D
    bank_rows: int  # K
    attention_channels: int  # width of the attentions' hidden layers
    bank_name: str  # of the bank's tensor; it depends on the data set


def fit_recipe(config: ml_collections.ConfigDict, tensors: Arrays) -> tuple[ml_collections.ConfigDict, Sizes, dict]:
    """The recipe with the number of bank rows of the tensors, their sizes, and facts for the checkpoint.

    Raises:
      InputError: the recipe and the tensors have different sizes.
    """
    sizes = read_sizes(tensors)
    config = ml_collections.ConfigDict(config.to_dict())
    if not config.bank.rows and sizes.bank_rows != number_of_rows(config.bank, sizes.classes):
        config.bank.rows = sizes.bank_rows
    channels = max(1, int(sizes.width * config.model.attention_channels))
    for name, wanted, there in (
        ("config.bank.rows", number_of_rows(config.bank, sizes.classes), sizes.bank_rows),
        (f"config.model.attention_channels of width {sizes.width}", channels, sizes.attention_channels),
    ):
        if wanted != there:
            raise InputError(f"{name} is {wanted}, but the tensors have {there}")
    return config.lock(), Sizes(sizes.classes, sizes.width), {"bank": {"tensor": sizes.bank_name}}


def from_tensors(tensors: Arrays, params: Any, carried: Any) -> tuple[Any, Any, int]:
    """The params, what is carried and the step that tensors hold, in the shapes of two templates.

    Numbers of other floating types are turned into float32.

    Raises:
      InputError: a tensor is missing, unexpected, of another shape or type, or not finite; the BatchNorms disagree on
        the step.
    """
    sizes = read_sizes(tensors)
    template = {
        "params": params["network"],
        "batch_stats": carried["batch_stats"],
        "bank": carried["bank"].replace(rows=carried["bank"].fitted),
    }
    shapes = expected_shapes(template, sizes.bank_name)
    check_tensors(tensors, shapes, COUNTERS)
    floats = {name: np.asarray(tensors[name], np.float32) for name in shapes if name not in COUNTERS}
    variables = torch_names.to_variables(floats)
    rows = floats[sizes.bank_name].reshape(sizes.bank_rows, sizes.width)
    rule = "gradient" if "bank" in params else "frozen"
    params = {"network": variables["params"]} | ({"bank": rows} if "bank" in params else {})
    return params, {"batch_stats": variables.get("batch_stats", {}), "bank": new_bank(rows, rule)}, read_step(tensors)


def to_tensors(trained: Any, layout: str | None) -> dict[str, np.ndarray]:
    """The tensors of a `Trained` under their PyTorch names, in PyTorch's layouts; not the optimizer's.

    `layout` says whose name and layout the bank gets, "thumos" or "activitynet"; None: as it was imported, else as the
    name of the data set implies.
    """
    implied = "activitynet" if trained.config.data.name.startswith("activitynet") else "thumos"
    bank_name = trained.about["facts"].get("bank", {}).get("tensor", f"clustering_{implied}_train")
    if layout is not None:
        bank_name = f"clustering_{layout}_train"
    return tensors_of(trained.variables, trained.step, bank_name)


def tensors_of(variables: Any, step: int, bank_name: str) -> dict[str, np.ndarray]:
    """The tensors of variables (see `Method.variables`) under their PyTorch names, in PyTorch's layouts."""
    tensors = torch_names.to_state_dict({name: variables[name] for name in ("params", "batch_stats")})
    bank = {bank_name: published_bank(np.asarray(variables["bank"].rows), bank_name)}
    return bank | tensors | dict.fromkeys(COUNTERS, np.array(step, np.int64))


def expected_shapes(template: Any, bank_name: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, in PyTorch's layouts, for variables with the shapes of the template."""
    blank = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), template)
    return {name: tensor.shape for name, tensor in tensors_of(blank, 0, bank_name).items()}


def read_sizes(tensors: Arrays) -> TensorSizes:
    """The sizes of the network that the tensors belong to; InputError where they do not tell them."""
    bank_names = [name for name in torch_names.BANK_NAMES if name in tensors]
    if len(bank_names) != 1:
        there = " and ".join(bank_names) or "neither"
        raise InputError(f"expected one semantics bank, {' or '.join(torch_names.BANK_NAMES)}; found {there}")

    bank_shape = shape_of(tensors, bank_names[0], published_bank(np.zeros((1, 1)), bank_names[0]).ndim)
    return TensorSizes(
        classes=shape_of(tensors, "time_classifier.3.weight", 3)[0] - 1,
        width=shape_of(tensors, "conv_1x1.weight", 3)[0],
        bank_rows=bank_shape[-2],
        attention_channels=shape_of(tensors, "time_Attn.0.weight", 3)[0],
        bank_name=bank_names[0],
    )


def published_bank(rows: np.ndarray, bank_name: str) -> np.ndarray:
    """Bank rows [K, D] in the layout of the tensor `bank_name`: THUMOS-14's has an axis of length 1 in front."""
    return rows[None] if bank_name == "clustering_thumos_train" else rows


def read_step(tensors: Arrays) -> int:
    """The number of steps, on which all BatchNorms must agree."""
    steps = {int(tensors[name]) for name in COUNTERS}
    if len(steps) > 1:
        counts = ", ".join(f"{name} {int(tensors[name])}" for name in COUNTERS)
        raise InputError(f"the BatchNorms were called different numbers of times: {counts}")
    step = steps.pop()
    if not 0 <= step < 2**31:
        raise InputError(f"num_batches_tracked is {step}, expected a number of steps")
    return step
