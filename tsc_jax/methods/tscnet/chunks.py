"""TSC-Net over a video that is longer than a batch may be: the same numbers in the memory of one chunk."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.method import Outputs, Sizes, no_progress
from tsc_jax.methods.tscnet.network import TSCNet, apply, attention_logits, fuse, make_network, reach
from tsc_jax.nn.layers import product


def make(config, sizes: Sizes, read: Callable | None = None) -> Callable:
    """A function (variables, features [T, D], chunk, progress) -> Outputs of one video [1, T, ...], NumPy.

    It calls `progress` with the number of snippets of each chunk that is done.
    TCE attends to all snippets of the video, so it takes two passes: the first computes the keys and values of all
    chunks, which wait on the host; in the second the queries of each chunk attend to all of them. `read` makes Outputs
    of (network, variables, arguments of `TSCNet.finish`); by default the fused CAS and attention.
    """
    network, halo = make_network(config.model, sizes.classes, sizes.width), reach(config.model)
    read = read or (lambda *arguments: read_fused(config.model.fusion_weight, *arguments))
    attend = jax.jit(absorb)

    @jax.jit
    def project(variables, features, mask):
        return apply(network, variables, features, mask, method=TSCNet.project)

    @jax.jit
    def finish(variables, m, f, read_so_far, mask):
        _, total, mixed = read_so_far
        return read(network, variables, m, f, mixed / total[..., None], variables["bank"].rows, mask)

    def run(variables, features: np.ndarray, chunk: int, progress: Callable = no_progress) -> Outputs:
        length, own = len(features), slice(halo, halo + chunk)
        windows = [window(features, start, chunk, halo) for start in range(0, length, chunk)]
        held = []
        for values, mask in windows:
            *_, k, v = project(variables, values, mask)
            held.append((*jax.device_get((k[:, :, own], v[:, :, own])), mask[:, own]))
        parts = []
        for values, mask in windows:
            m, f, q, *_ = project(variables, values, mask)
            read_so_far = None
            for each in held:
                read_so_far = attend(read_so_far, q, *each)
            outputs = jax.device_get(finish(variables, m, f, read_so_far, mask))
            parts.append(jax.tree.map(lambda x: x[:, own], outputs))
            progress(int(mask[:, own].sum()))
        return jax.tree.map(lambda *each: np.concatenate(each, axis=1)[:, :length], *parts)

    return run


def read_fused(weight: float, network, variables, *arguments) -> Outputs:
    """The fused CAS and attention of a chunk."""
    cas, attention = fuse(apply(network, variables, *arguments, method=TSCNet.finish), weight)
    return Outputs({"cas": cas, "attention": attention})


def window(features: np.ndarray, start: int, chunk: int, halo: int) -> tuple[np.ndarray, np.ndarray]:
    """A chunk of [T, D] with `halo` snippets on either side as a batch of one video: [1, N, D] and mask [1, N]."""
    places = np.arange(start - halo, start + chunk + halo)
    inside = (places >= 0) & (places < len(features))
    taken = features[np.clip(places, 0, len(features) - 1)]
    return np.where(inside[:, None], taken, 0).astype(np.float32)[None], inside[None]


def absorb(read: tuple | None, q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> tuple:
    """Attends to one more chunk of keys and values; their softmax is summed relative to the largest logit so far.

    `read` holds the largest logit and the sum of weights so far, float32 [B, heads, T], and the weighted sum of values,
    float32 [B, heads, T, E]; None before the first chunk. q is [B, heads, T, E], k and v are [B, heads, S, E], and
    mask is bool [B, S], some of it True.
    """
    logits = jnp.where(mask[:, None, None, :], attention_logits(q, k), -jnp.inf)
    largest = jnp.max(logits, axis=-1)
    if read is not None:
        largest = jnp.maximum(read[0], largest)
    weights = jnp.exp(logits - largest[..., None])
    total, mixed = jnp.sum(weights, axis=-1), product("bhts,bhse->bhte", v.dtype, weights, v)
    if read is not None:
        kept = jnp.exp(read[0] - largest)
        total, mixed = total + kept * read[1], mixed + kept[..., None] * read[2]
    return largest, total, mixed
