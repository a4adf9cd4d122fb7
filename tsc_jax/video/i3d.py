"""I3D (Inflated Inception-V1; Carreira and Zisserman, 2017) on RGB, as pure functions on a dict of arrays.

Each 3D convolution is computed as a 2D convolution with the frames under its kernel (taps) as channels,
[F, H, W, C] -> [F, H, W, taps * C]: the same sum, and several times as fast on CPUs as XLA's 3D convolution.
Letters of this module: N clips, F frames, H and W pixels, C and D channels.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax import lax

WIDTH = 1024
_EPSILON = 1e-3  # of the BatchNorm that the weights were trained with (Sonnet's)
_STAGES = (("3b", "3c"), ("4b", "4c", "4d", "4e", "4f"), ("5b", "5c"))

Params = dict[str, dict[str, jax.Array]]


def fold(variables: Mapping[str, Mapping], dtype: str = "float32") -> Params:
    """Folds each BatchNorm, which has no scale, into its convolution, and makes taps channels.

    `variables` are "params" and "batch_stats" of I3D in Flax's names; kernels are [taps, H, W, C, D]. Returns "kernel"
    [H, W, taps * C, D] of type `dtype`, which all activations get, and "bias" [D] float32 per convolution.
    """
    params, statistics = (flatten_dict(variables[part], sep="/") for part in ("params", "batch_stats"))
    folded = {}
    for name in (key.removesuffix("/BatchNorm_0/mean") for key in statistics if key.endswith("mean")):
        mean, variance = (np.float64(statistics[f"{name}/BatchNorm_0/{key}"]).reshape(-1) for key in ("mean", "var"))
        scale = 1 / np.sqrt(variance + _EPSILON)
        kernel = np.float64(params[f"{name}/Conv_0/kernel"]) * scale
        taps, height, width, channels, outputs = kernel.shape
        kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(height, width, taps * channels, outputs)
        bias = np.float64(params[f"{name}/BatchNorm_0/bias"]).reshape(-1) - mean * scale
        folded[name] = {"kernel": jnp.asarray(np.float32(kernel), dtype), "bias": jnp.asarray(bias, jnp.float32)}
    return folded


def features(params: Params, frames: jax.Array) -> jax.Array:
    """Returns the global mean of Mixed_5c, the snippet feature of I3D, [N, 1024] float32.

    `params` are from `fold`, `frames` are RGB [N, F, H, W, 3], uint8 or float in [-1, 1]. The weights were trained with
    64 frames of 224 x 224 pixels.
    """
    return mixed_5c(params, frames).mean((1, 2, 3), jnp.float32)


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
    def convolution(unit: str, x: jax.Array) -> jax.Array:
        return _convolution(params[f"{name}/{unit}"], x)

    branches = [
        convolution("Branch_0/Conv3d_0a_1x1", x),
        convolution("Branch_1/Conv3d_0b_3x3", convolution("Branch_1/Conv3d_0a_1x1", x)),
        convolution("Branch_2/Conv3d_0b_3x3", convolution("Branch_2/Conv3d_0a_1x1", x)),
        convolution("Branch_3/Conv3d_0b_1x1", _max_pool(x, (3, 3, 3), (1, 1, 1))),
    ]
    return jnp.concatenate(branches, axis=-1)


def _convolution(layer: Mapping[str, jax.Array], x: jax.Array, stride: int = 1) -> jax.Array:
    """3D convolution of x [N, F, H, W, C] with TensorFlow's "SAME" padding, then ReLU."""
    kernel = layer["kernel"]
    x = jnp.concatenate(_taps(x.astype(kernel.dtype), 1, kernel.shape[2] // x.shape[-1], stride), axis=-1)
    clips, frames, *rest = x.shape
    x = lax.conv_general_dilated(
        x.reshape(clips * frames, *rest),
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        preferred_element_type=jnp.float32,
    )
    x = jax.nn.relu(x + layer["bias"][None, None, None]).astype(kernel.dtype)
    return x.reshape(clips, frames, *x.shape[1:])


def _max_pool(x: jax.Array, window: tuple[int, ...], strides: tuple[int, ...]) -> jax.Array:
    """3D max pooling of x [N, F, H, W, C] >= 0, axis by axis, with TensorFlow's "SAME" padding."""
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), 1):
        x = functools.reduce(jnp.maximum, _taps(x, axis, size, stride))
    return x


def _taps(x: jax.Array, axis: int, size: int, stride: int) -> list[jax.Array]:
    """Returns, for each place of a kernel along an axis, what it sees; with zeros as TensorFlow's "SAME" padding."""
    length = x.shape[axis]
    last = stride * (-(-length // stride) - 1) + 1
    total = max(last - 1 + size - length, 0)
    padding = [(0, 0)] * x.ndim
    padding[axis] = (total // 2, total - total // 2)
    padded = jnp.pad(x, padding)
    return [lax.slice_in_dim(padded, tap, tap + last, stride, axis) for tap in range(size)]
