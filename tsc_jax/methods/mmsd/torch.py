"""MMSD's parameters as the tensors of the published PyTorch implementation, and back.

The published file holds neither pseudo labels nor a number of steps: imported weights are those of step 0, without
pseudo labels. It is known for two modalities alone.
"""

from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.methods.mmsd.network import STREAMS
from tsc_jax.torch.tensors import float_tensors, shape_of

# Name of the layer in PyTorch, by its name here.
LAYERS = {
    "rgb_first": "rgb_embedding.process1.0",
    "rgb_second": "rgb_embedding.process2.0",
    "flow_first": "flow_embedding.process1.0",
    "flow_second": "flow_embedding.process2.0",
    "fusion": "fusion_embedding.0",
}

Arrays = Mapping[str, np.ndarray]


def fit_recipe(config: ml_collections.ConfigDict, tensors: Arrays) -> tuple[ml_collections.ConfigDict, Sizes, dict]:
    """The recipe, the sizes that the tensors tell, and facts for the checkpoint (none).

    Raises:
      InputError: the recipe and the tensors have different sizes.
    """
    embedding, width = shape_of(tensors, "rgb_embedding.process1.0.weight", 2)
    centres, _ = shape_of(tensors, "rgb_stream.ac_center", 2)
    for key, held in (("modalities", 2), ("embedding_width", embedding)):
        if config.model[key] != held:
            raise InputError(f"config.model.{key} is {config.model[key]}, but the tensors have {held}")
    return config, Sizes(centres - 1, 2 * width), {}


def from_tensors(tensors: Arrays, params: Any, carried: Any) -> tuple[Any, Any, int]:
    """The params, what is carried and the step that tensors hold, in the shapes of two templates.

    Raises:
      InputError: a tensor is missing, unexpected, of another shape or type, or not finite.
    """
    blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), (params, carried))
    floats = float_tensors(tensors, tensors_of(blank[0]))
    layers = {
        layer: {"linear": {"kernel": floats[f"{name}.weight"].T, "bias": floats[f"{name}.bias"]}}
        for layer, name in LAYERS.items()
    }
    centres = {
        f"{stream}_centres": {
            "classes": floats[f"{stream}_stream.ac_center"],
            "foreground": floats[f"{stream}_stream.fg_center"][0],
        }
        for stream in STREAMS[2]
    }
    return layers | centres, blank[1], 0


def to_tensors(trained: Any, layout: str | None) -> dict[str, np.ndarray]:
    """The tensors of a `Trained` under their PyTorch names, in PyTorch's layouts; there is one layout."""
    del layout
    if trained.config.model.modalities != 2:
        raise InputError("config.model.modalities is 1, but the published tensors are of RGB and optical flow")
    return tensors_of(trained.variables["params"])


def tensors_of(params: Any) -> dict[str, np.ndarray]:
    """Params, or gradients of them, as PyTorch tensors."""
    tensors = {}
    for stream in STREAMS[2]:
        centres = params[f"{stream}_centres"]
        tensors[f"{stream}_stream.ac_center"] = np.asarray(centres["classes"])
        tensors[f"{stream}_stream.fg_center"] = np.asarray(centres["foreground"])[None]
    for layer, name in LAYERS.items():
        tensors[f"{name}.weight"] = np.asarray(params[layer]["linear"]["kernel"]).T
        tensors[f"{name}.bias"] = np.asarray(params[layer]["linear"]["bias"])
    return tensors
