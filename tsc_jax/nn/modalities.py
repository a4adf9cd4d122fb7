"""The modalities of snippet features: `config.model.modalities` of the methods that tell them apart."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.errors import InputError

# By their number: one modality or one joint feature, or RGB in the first half of the columns and optical flow in the
# second one.
MODALITIES = {1: ("joint",), 2: ("rgb", "flow")}


def split_modalities(features: jax.Array, number: int) -> dict[str, jax.Array]:
    """The features [B, T, D / number] of each modality, from those of all of them [B, T, D]."""
    return dict(zip(MODALITIES[number], jnp.split(features, number, axis=-1), strict=True))


def modalities(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the modalities that `config.model` asks for; InputError where it asks for another number."""
    rules.check("model", model, {"modalities": rules.one_of(*MODALITIES)})
    return MODALITIES[model["modalities"]]


def check_modalities(model: Mapping[str, Any], width: int) -> None:
    """Raises InputError where features of width D do not have the modalities that `config.model` asks for."""
    modalities(model)
    if width % model["modalities"]:
        raise InputError(
            f"config.model.modalities is {model['modalities']}, but the features have the odd width {width}; expected"
            " RGB and flow of equal width, or config.model.modalities=1"
        )
