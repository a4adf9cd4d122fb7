"""The network of three streams: published size and start, modalities, and what its fusion leaves out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import mmsd_thumos14
from tests.methods.mmsd.small import CLASSES, SIZES, WIDTH, make, of_video, ragged_batch, small_config, small_state
from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.methods import mmsd
from tsc_jax.methods.mmsd.network import fuse
from tsc_jax.nn.cosine import Scores


def forward(config, batch, sizes=SIZES, seed=0):
    method = make(config, sizes)
    return jax.jit(method.forward)({"params": small_state(method, seed=seed).params}, batch["features"], batch["mask"])


def test_published_number_of_parameters():
    method = mmsd.make(mmsd_thumos14.get_config(), Sizes(20, 2048))
    params, _ = jax.eval_shape(method.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 6_364_160


def test_the_foreground_starts_opposite_to_the_background():
    params, carried = make(small_config()).init(jax.random.key(0))
    for stream in ("rgb", "flow", "peer"):
        centres = params[f"{stream}_centres"]
        np.testing.assert_array_equal(centres["foreground"], -centres["classes"][-1])
    assert not carried["labels"].any() and not carried["confidence"].any()


def test_a_padded_video_gets_what_it_gets_alone():
    batch = ragged_batch(videos=3)
    together = forward(small_config(), batch)
    for row, length in enumerate(batch["mask"].sum(axis=1)):
        alone = forward(small_config(), of_video(batch, row))
        for name, array in alone.snippets.items():
            np.testing.assert_allclose(together.snippets[name][row, :length], array[0], atol=1e-5)
        np.testing.assert_allclose(together.videos["class_scores"][row], alone.videos["class_scores"][0], atol=1e-5)


@pytest.mark.parametrize(("stream", "missing"), [("rgb", slice(WIDTH // 2, None)), ("flow", slice(WIDTH // 2))])
def test_one_stream_is_read_without_the_columns_of_the_other_modality(stream, missing):
    weights = {f"model.stream_weights.{name}": float(name == stream) for name in ("rgb", "flow", "peer")}
    config, batch = small_config(**weights), ragged_batch(videos=3)
    plain = forward(config, batch)
    batch["features"][..., missing] = np.nan
    without = forward(config, batch)
    for name, array in plain.snippets.items():
        np.testing.assert_array_equal(array[batch["mask"]], without.snippets[name][batch["mask"]])
    np.testing.assert_array_equal(plain.videos["class_scores"], without.videos["class_scores"])


def test_the_fusion_multiplies_means():
    rng = np.random.default_rng(0)
    streams = {
        name: Scores(*(rng.normal(size=shape) for shape in ((2, 5, 4), (2, 5), (2, 5, 4), (2, 4), (2, 4))))
        for name in ("rgb", "flow", "peer")
    }
    weights = {"rgb": 0.2, "flow": 0.4, "peer": 0.4}
    outputs = fuse(streams, weights)
    softmax = {name: np.exp(s.cas) / np.exp(s.cas).sum(axis=-1, keepdims=True) for name, s in streams.items()}
    attention = sum(weight * streams[name].attention for name, weight in weights.items())
    expected = attention[..., None] * sum(weight * softmax[name] for name, weight in weights.items())
    np.testing.assert_allclose(outputs.snippets["cas"], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs.videos["class_scores"].sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("classes", "width", "modalities"), [(1, 2, 2), (7, 5, 1), (3, 24, 1), (20, 30, 2)])
def test_any_width_and_number_of_classes(classes, width, modalities):
    config, batch = small_config(**{"model.modalities": modalities}), ragged_batch(videos=2, width=width)
    outputs = forward(config, batch, Sizes(classes, width))
    assert outputs.snippets["cas"].shape == (*batch["mask"].shape, classes + 1)
    assert outputs.videos["class_scores"].shape == (2, classes + 1)


def test_bfloat16_computes_close_and_keeps_float32_outside():
    batch = ragged_batch(videos=3)
    exact, rounded = (forward(small_config(**{"model.dtype": dtype}), batch) for dtype in ("float32", "bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves((exact, rounded))} == {jnp.dtype("float32")}
    difference = np.abs(exact.snippets["attention"] - rounded.snippets["attention"])[batch["mask"]]
    assert 0 < difference.max() < 0.1


def test_an_embedding_of_zeros_leaves_numbers_finite():
    """The published code divides by its norm."""
    method, batch = make(small_config()), ragged_batch(videos=3)
    state = small_state(method)
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.full_like(leaf, -1) if "fusion" in str(path) else leaf, state.params
    )

    def total(params):
        terms, _ = method.loss(params, state.carried, batch, jax.random.key(0), state.step)
        return sum(term.sum for term in terms.values())

    value, gradients = jax.jit(jax.value_and_grad(total))(params)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((value, gradients)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.modalities", 3),
        ("model.embedding_width", 0),
        ("model.dropout", 1.0),
        ("model.dtype", "float16"),
        ("model.stream_weights.rgb", -0.1),
        ("pseudo.refresh_epochs", (3, 2)),
        ("pseudo.refresh_epochs", (0, 2)),
        ("pseudo.vote_smoothing", 0.0),
        ("loss.contrast_ratio", 0),
        ("loss.temperature", 0.0),
        ("loss.weights.distillation", -1.0),
        ("optimizer.beta1", 1.0),
        ("proposals.nms_overlap", "iou"),
        ("train.batches", "pairs"),
    ],
)
def test_settings_that_it_cannot_use_are_named_with_their_value(key, value):
    with pytest.raises(InputError, match=rf"config\.{key} is ") as caught:
        make(small_config(**{key: value}))
    assert repr(value).strip("()") in str(caught.value)


def test_features_that_do_not_halve_and_weights_of_0_are_refused():
    with pytest.raises(InputError, match=r"config\.model\.modalities is 2, but the features have the odd width 15"):
        make(small_config(), Sizes(CLASSES, 15))
    nothing = {f"model.stream_weights.{name}": 0.0 for name in ("rgb", "flow", "peer")}
    with pytest.raises(InputError, match=r"config\.model\.stream_weights are all 0"):
        make(small_config(**nothing))
