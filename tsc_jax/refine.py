"""Refinement of the activations of any method: snippets with similar features share their scores (Park et al., 2019).

Post-processing of what is thresholded: every output per snippet becomes (I + mu L)^-1 times itself, where L is the
Laplacian of the affinities of the input features. Each column keeps its mean and stays within its range. Outputs per
video stay as they are. A video of T snippets needs a few arrays of T^2 floats, each 36 MB at T = 3000; a video that is
cut into chunks is refined as a whole.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.method import Method, Outputs, no_progress
from tsc_jax.nn import graph


def strength_of(config) -> float:
    """`config.refine.strength`; 0, which means no refinement, where the recipe has no such section."""
    settings = config.get("refine")
    if settings is None:
        return 0.0
    rules.check("refine", settings, graph.RULES)
    return settings.strength


def refined(method: Method, config) -> Method:
    """The method whose `forward` refines its outputs per snippet as `config.refine` says; `method` itself if it is off.

    Raises:
      InputError: an invalid value in `config.refine`.
    """
    if not strength_of(config):
        return method

    def forward(variables, features, mask):
        return refine_outputs(method.forward(variables, features, mask), features, mask, config.refine)

    return dataclasses.replace(method, forward=forward)


def refined_chunks(chunked: Callable, config) -> Callable:
    """A method's `chunks` (see `inference.Inference`), whose outputs of the whole video are refined at its end."""
    if not strength_of(config):
        return chunked
    refine = jax.jit(lambda outputs, features, mask: refine_outputs(outputs, features, mask, config.refine))

    def run(variables, features: np.ndarray, chunk: int, progress: Callable = no_progress) -> Outputs:
        outputs, mask = chunked(variables, features, chunk, progress), np.ones((1, len(features)), bool)
        return jax.device_get(refine(outputs, features[None].astype(np.float32), mask))

    return run


def refine_outputs(outputs: Outputs, features: jax.Array, mask: jax.Array, settings) -> Outputs:
    """Refines all outputs per snippet with one factorisation per video; `settings` is `config.refine`."""
    affinity = graph.affinities(features, mask, settings.bandwidth)
    maps = graph.refine(affinity, side_by_side(outputs.snippets, mask), mask, settings.strength, settings.laplacian)
    return outputs.replace(snippets=apart(maps, outputs.snippets))


def side_by_side(arrays: Mapping[str, jax.Array], mask: jax.Array) -> jax.Array:
    """Arrays [B, T, ...] as the columns of one: [B, T, K]."""
    return jnp.concatenate([array.reshape(*mask.shape, -1) for array in arrays.values()], axis=-1)


def apart(columns: jax.Array, arrays: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """The columns [B, T, K] in the shapes of the arrays that `side_by_side` joined."""
    widths = [int(np.prod(array.shape[2:])) for array in arrays.values()]
    parts = jnp.split(columns, np.cumsum(widths)[:-1], axis=-1)
    return {name: part.reshape(arrays[name].shape) for name, part in zip(arrays, parts, strict=True)}
