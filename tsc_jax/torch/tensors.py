"""Checks of the tensors in PyTorch files."""

from collections.abc import Container, Mapping

import jax.numpy as jnp
import numpy as np

from tsc_jax.errors import InputError


def check_tensors(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], integers: Container[str] = ()
) -> None:
    """Raises InputError unless there is exactly one valid tensor for every shape; those in `integers` are counts."""
    for wrong, names in (("missing", shapes.keys() - tensors.keys()), ("unexpected", tensors.keys() - shapes.keys())):
        if names:
            raise InputError(f"{wrong} tensor{'s' * (len(names) > 1)}: {', '.join(sorted(names))}")
    for name, shape in shapes.items():
        tensor, kind = tensors[name], "integer" if name in integers else "floating"
        if tensor.shape != shape:
            raise InputError(f"tensor {name} has shape {tensor.shape}, expected {shape}")
        if not jnp.issubdtype(tensor.dtype, getattr(jnp, kind)):
            raise InputError(f"tensor {name} has type {tensor.dtype}, expected {kind} numbers")
        if kind == "floating" and not np.isfinite(np.asarray(tensor, np.float32)).all():
            raise InputError(f"tensor {name} holds NaN or infinite numbers")


def float_tensors(tensors: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors as float32; InputError unless they are valid, with the names and shapes of `wanted`."""
    check_tensors(tensors, {name: tensor.shape for name, tensor in wanted.items()})
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def shape_of(tensors: Mapping[str, np.ndarray], name: str, rank: int) -> tuple[int, ...]:
    """The shape of one tensor; InputError where it is missing or has another number of axes than `rank`."""
    if name not in tensors:
        raise InputError(f"tensor {name} is missing")
    if tensors[name].ndim != rank:
        raise InputError(f"tensor {name} has shape {tensors[name].shape}, expected {rank} axes")
    return tensors[name].shape
