"""RSKP's parameters as the tensors of the published PyTorch implementation, and back.

The published file holds neither the memory nor a number of steps: imported weights are those of step 0, with an empty
memory.
"""

from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.torch.tensors import float_tensors, shape_of

KERNEL, BIAS = "feature_embedding.0.weight", "feature_embedding.0.bias"
PROTOTYPES, CENTRES, FOREGROUND = "mu", "ac_center", "fg_center"

Arrays = Mapping[str, np.ndarray]


def fit_recipe(config: ml_collections.ConfigDict, tensors: Arrays) -> tuple[ml_collections.ConfigDict, Sizes, dict]:
    """The recipe, the sizes that the tensors tell, and facts for the checkpoint (none).

    Raises:
      InputError: the recipe and the tensors have different sizes.
    """
    (embedding, width), (prototypes, _), (centres, _) = (
        shape_of(tensors, name, 2) for name in (KERNEL, PROTOTYPES, CENTRES)
    )
    for key, size in (("embedding_width", embedding), ("prototypes", prototypes)):
        if config.model[key] != size:
            raise InputError(f"config.model.{key} is {config.model[key]}, but the tensors have {size}")
    return config, Sizes(centres - 1, width), {}


def from_tensors(tensors: Arrays, params: Any, carried: Any) -> tuple[Any, Any, int]:
    """The params, what is carried and the step that tensors hold, in the shapes of two templates.

    Raises:
      InputError: a tensor is missing, unexpected, of another shape or type, or not finite.
    """
    blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), (params, carried))
    floats = float_tensors(tensors, tensors_of(blank[0]))
    params = {
        "embedding": {"kernel": floats[KERNEL].T, "bias": floats[BIAS]},
        "prototypes": floats[PROTOTYPES],
        "centres": {"classes": floats[CENTRES], "foreground": floats[FOREGROUND][0]},
    }
    return params, blank[1], 0


def to_tensors(trained: Any, layout: str | None) -> dict[str, np.ndarray]:
    """The tensors of a `Trained` under their PyTorch names, in PyTorch's layouts; there is one layout."""
    del layout
    return tensors_of(trained.variables["params"])


def tensors_of(params: Any) -> dict[str, np.ndarray]:
    """Params, or gradients of them, as PyTorch tensors."""
    return {
        PROTOTYPES: np.asarray(params["prototypes"]),
        CENTRES: np.asarray(params["centres"]["classes"]),
        FOREGROUND: np.asarray(params["centres"]["foreground"])[None],
        KERNEL: np.asarray(params["embedding"]["kernel"]).T,
        BIAS: np.asarray(params["embedding"]["bias"]),
    }
