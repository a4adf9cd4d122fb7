"""FAC-Net's parameters as the tensors of the published PyTorch implementation, and back.

The published code trains and saves each modality apart, so two modalities are two files. Tensors of several files are
told apart by the name of the modality before their own: "rgb/ac_center".
"""

from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
from flax import traverse_util

from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.nn.modalities import modalities
from tsc_jax.torch.tensors import float_tensors, shape_of

Arrays = Mapping[str, np.ndarray]

# PyTorch name -> our name, and how the layout changes to ours and back. PyTorch's linear weights are (out, in).
TENSORS = {
    "feature_embedding.process.0.weight": ("hidden/kernel", np.transpose, np.transpose),
    "feature_embedding.process.0.bias": ("hidden/bias", np.asarray, np.asarray),
    "feature_embedding.process.3.weight": ("embedding/kernel", np.transpose, np.transpose),
    "feature_embedding.process.3.bias": ("embedding/bias", np.asarray, np.asarray),
    "ac_center": ("centres/classes", np.asarray, np.asarray),
    "fg_center": ("centres/foreground", lambda x: x[0], lambda x: x[None]),
}


def files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """The names of the files that hold the weights, one per modality; () for a single file."""
    names = modalities(config.model)
    return names if len(names) > 1 else ()


def fit_recipe(config: ml_collections.ConfigDict, tensors: Arrays) -> tuple[ml_collections.ConfigDict, Sizes, dict]:
    """The recipe, the sizes of the tensors, and facts for the checkpoint.

    Raises InputError where recipe and tensors differ.
    """
    names = modalities(config.model)

    rows, channels = shape_of(tensors, prefix(names[0]) + "ac_center", 2)
    _, width = shape_of(tensors, prefix(names[0]) + "feature_embedding.process.0.weight", 2)
    wanted = config.model.embedding_width
    if channels != wanted:
        raise InputError(f"config.model.embedding_width is {wanted}, but the tensors have {channels}")
    return config, Sizes(rows - 1, width * len(names)), {}


def from_tensors(tensors: Arrays, params: Any, carried: Any) -> tuple[Any, Any, int]:
    """The params and what is carried, in the shapes of two templates, and step 0, because the files hold no step.

    Numbers of other floating types are turned into float32. Raises InputError for a tensor that is missing, unexpected,
    of another shape or type, or not finite.
    """
    blank = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), params)
    floats = float_tensors(tensors, tensors_of(blank))
    return {modality: params_of(floats, modality) for modality in params}, carried, 0


def to_tensors(trained: Any, layout: str | None) -> dict[str, np.ndarray]:
    """The tensors of a `Trained` under their PyTorch names, in PyTorch's layouts; there is no choice of `layout`."""
    del layout
    return tensors_of(trained.variables)


def params_of(tensors: Arrays, modality: str) -> dict[str, Any]:
    """The params of one modality, from its tensors in float32."""
    flat = {ours: to_ours(tensors[prefix(modality) + theirs]) for theirs, (ours, to_ours, _) in TENSORS.items()}
    return traverse_util.unflatten_dict(flat, sep="/")


def tensors_of(params: Any) -> dict[str, np.ndarray]:
    """The tensors of the params of all modalities, or of a tree like them (gradients)."""
    tensors = {}
    for modality, tree in params.items():
        flat = traverse_util.flatten_dict(tree, sep="/")
        for theirs, (ours, _, to_theirs) in TENSORS.items():
            tensors[prefix(modality) + theirs] = np.ascontiguousarray(to_theirs(np.asarray(flat[ours])))
    return tensors


def prefix(modality: str) -> str:
    """What stands before the names of the tensors of a modality; nothing if there is only one."""
    return "" if modality == "joint" else f"{modality}/"
