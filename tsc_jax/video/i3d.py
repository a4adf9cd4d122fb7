"""I3D (Inflated Inception-V1; Carreira and Zisserman, 2017) on RGB, as pure functions on a dict of arrays.

Each 3D convolution is computed as a 2D convolution with the frames under its kernel (taps) as channels,
[F, H, W, C] -> [F, H, W, taps * C]: the same sum, and several times as fast on CPUs as XLA's 3D convolution.
Letters of this module: N clips, F frames, H and W pixels, C and D channels.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

WIDTH = 1024
CLASSES = 400  # of Kinetics
_EPSILON = 1e-3  # of the BatchNorm that the weights were trained with (Sonnet's)
_STAGES = (("3b", "3c"), ("4b", "4c", "4d", "4e", "4f"), ("5b", "5c"))
_CONVOLUTIONS = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
# Convolutions of an Inception block: those that read its input, then the others.
_REDUCTIONS = ("Branch_0/Conv3d_0a_1x1", "Branch_1/Conv3d_0a_1x1", "Branch_2/Conv3d_0a_1x1")
_BRANCHES = ("Branch_1/Conv3d_0b_3x3", "Branch_2/Conv3d_0b_3x3", "Branch_3/Conv3d_0b_1x1")

Params = dict[str, dict[str, jax.Array]]


def fold(variables: Mapping[str, Mapping], dtype: str = "float32") -> Params:
    """Folds BatchNorm into the weights, joins convolutions with the same input, and makes taps channels.

    Args:
      variables: "params" and "batch_stats" of I3D in Flax's names; kernels are [taps, H, W, C, D].
      dtype: of the kernels and so of all activations; biases stay float32.

    Returns:
      "kernel" [H, W, taps * C, D] and "bias" [D] per layer; a block has "NAME/reductions" and a layer per branch.
    """
    params, statistics = variables["params"], variables["batch_stats"]
    folded = {name: _fold(params[name], statistics[name]) for name in _CONVOLUTIONS}
    for name in (f"Mixed_{each}" for stage in _STAGES for each in stage):
        units = {each: _fold(params[name][each], statistics[name][each]) for each in params[name]}
        folded[f"{name}/reductions"] = tuple(
            np.concatenate(arrays, axis=-1) for arrays in zip(*(units[each] for each in _REDUCTIONS), strict=True)
        )
        folded |= {f"{name}/{each}": units[each] for each in _BRANCHES}
    logits = params["Logits/Conv3d_0c_1x1"]["Conv_0"]
    folded["logits"] = (np.asarray(logits["kernel"])[0], np.asarray(logits["bias"]))
    return {
        name: {"kernel": jnp.asarray(kernel, dtype), "bias": jnp.asarray(bias, jnp.float32)}
        for name, (kernel, bias) in folded.items()
    }


def _fold(params: Mapping, statistics: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel [H, W, taps * C, D] and bias [D] of a convolution with its BatchNorm, which has no scale."""
    mean, variance = (np.asarray(statistics["BatchNorm_0"][name], np.float64).reshape(-1) for name in ("mean", "var"))
    scale = 1 / np.sqrt(variance + _EPSILON)
    kernel = np.asarray(params["Conv_0"]["kernel"], np.float64) * scale
    taps, height, width, channels, outputs = kernel.shape
    kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(height, width, taps * channels, outputs)
    bias = np.asarray(params["BatchNorm_0"]["bias"], np.float64).reshape(-1) - mean * scale
    return kernel.astype(np.float32), bias.astype(np.float32)


def features(params: Params, frames: jax.Array) -> jax.Array:
    """Returns the global mean of Mixed_5c, the snippet feature of I3D.

    Args:
      params: from `fold`.
      frames: RGB [N, F, H, W, 3], uint8 or float in [-1, 1]; the weights were trained with F 64, H and W 224.

    Returns:
      [N, 1024] float32.
    """
    return mixed_5c(params, frames).mean((1, 2, 3), jnp.float32)


def logits(params: Params, means: jax.Array) -> jax.Array:
    """`features` [N, 1024] -> logits of the classes of Kinetics [N, 400]."""
    kernel = params["logits"]["kernel"][0, 0].astype(jnp.float32)
    return means @ kernel + params["logits"]["bias"][None]


def mixed_5c(params: Params, frames: jax.Array) -> jax.Array:
    """Returns the last block's output [N, F / 8, H / 32, W / 32, 1024] float32, sizes rounded up; see `features`."""
    if frames.dtype == jnp.uint8:
        frames = frames.astype(jnp.float32) / 255 * 2 - 1
    x = _convolution(params["Conv3d_1a_7x7"], frames, stride=2)
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    x = _convolution(params["Conv3d_2b_1x1"], x)
    x = _convolution(params["Conv3d_2c_3x3"], x)
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    for index, stage in enumerate(_STAGES):
        if index > 0:
            x = _max_pool(x, (3, 3, 3) if index == 1 else (2, 2, 2), (2, 2, 2))
        for name in stage:
            x = _inception(params, f"Mixed_{name}", x)
    return x.astype(jnp.float32)


def _inception(params: Params, name: str, x: jax.Array) -> jax.Array:
    wide, narrow, pooled = (params[f"{name}/{each}"] for each in _BRANCHES)
    inner = [branch["kernel"].shape[2] // 3 for branch in (wide, narrow)]
    outer = params[f"{name}/reductions"]["bias"].shape[0] - sum(inner)
    reduced = _convolution(params[f"{name}/reductions"], x)
    direct, *inputs = jnp.split(reduced, (outer, outer + inner[0]), axis=-1)
    branches = [_convolution(branch, each) for branch, each in zip((wide, narrow), inputs, strict=True)]
    return jnp.concatenate([direct, *branches, _convolution(pooled, _max_pool(x, (3, 3, 3), (1, 1, 1)))], axis=-1)


def _convolution(layer: Mapping[str, jax.Array], x: jax.Array, stride: int = 1) -> jax.Array:
    """3D convolution of x [N, F, H, W, C] with TensorFlow's "SAME" padding, then ReLU."""
    kernel = layer["kernel"]
    clips, length, *size, channels = x.shape
    taps = kernel.shape[2] // channels
    outputs = -(-length // stride)
    x = jnp.pad(x.astype(kernel.dtype), ((0, 0), _same(length, taps, stride), (0, 0), (0, 0), (0, 0)))
    last = stride * (outputs - 1) + 1
    x = jnp.concatenate([x[:, tap : tap + last : stride] for tap in range(taps)], axis=-1)
    x = lax.conv_general_dilated(
        x.reshape(clips * outputs, *size, taps * channels),
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        preferred_element_type=jnp.float32,
    )
    x = jax.nn.relu(x + layer["bias"][None, None, None]).astype(kernel.dtype)
    return x.reshape(clips, outputs, *x.shape[1:])


def _max_pool(x: jax.Array, window: tuple[int, ...], strides: tuple[int, ...]) -> jax.Array:
    """3D max pooling of x [N, F, H, W, C] >= 0, axis by axis, with TensorFlow's "SAME" padding."""
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), 1):
        length = x.shape[axis]
        outputs = -(-length // stride)
        padding = [(0, 0)] * x.ndim
        padding[axis] = _same(length, size, stride)
        padded = jnp.pad(x, padding)
        last = stride * (outputs - 1) + 1
        x = lax.slice_in_dim(padded, 0, last, stride, axis)
        for tap in range(1, size):
            x = jnp.maximum(x, lax.slice_in_dim(padded, tap, tap + last, stride, axis))
    return x


def _same(length: int, size: int, stride: int) -> tuple[int, int]:
    """Returns the "SAME" padding before and after an axis."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
