"""The network equals the page of the method written as plain loops, for each video of a padded batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from tests.methods.facnet.small import CHANNELS, CLASSES, LENGTHS, WIDTH, make, ragged_batch, small_config, with_biases
from tsc_jax.methods.facnet.network import make_network


@pytest.fixture(scope="module")
def params():
    return jax.device_get(with_biases(make().init(jax.random.key(0))[0]["joint"]))


def network(**changes):
    return make_network(small_config(**changes).model, CLASSES)


def apply(params, batch, *inputs, net=None, **options):
    net = net or network()
    return jax.jit(lambda params, *inputs: net.apply({"params": params}, *inputs, **options))(
        params, batch["features"], batch["mask"], *inputs
    )


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def oracle(params, x, scale=5.0, factor=2.0, temperatures=(1, 2, 5)) -> dict[str, np.ndarray]:
    """The outputs for one video [T, D], in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    h = np.maximum(x @ params["hidden"]["kernel"] + params["hidden"]["bias"], 0)
    z = np.maximum(h @ params["embedding"]["kernel"] + params["embedding"]["bias"], 0)
    a, f = params["centres"]["classes"], params["centres"]["foreground"]
    scores, foreground = scale * unit(z) @ unit(a).T, scale * unit(z) @ unit(f)
    class_wise, class_agnostic, instances = [], [], []
    for temperature in temperatures:
        attention = scipy.special.softmax(temperature * scores, axis=0)
        class_wise.append([unit(attention[:, c] @ z) @ unit(f) for c in range(len(a))])
        class_agnostic.append(unit(a) @ unit(scipy.special.softmax(temperature * foreground) @ z))
        instances.append((attention * scores).sum(axis=0))
    return {
        "embedding": z,
        "scores": scores,
        "foreground": foreground,
        "class_wise": factor * scale * np.mean(class_wise, axis=0),
        "class_agnostic": factor * scale * np.mean(class_agnostic, axis=0),
        "instances": factor * np.mean(instances, axis=0),
    }


@pytest.mark.parametrize(("padding", "rubbish"), [(0, 0.0), (3, 0.0), (3, 1e3)])
def test_each_video_of_a_padded_batch_is_as_on_the_page(params, padding, rubbish):
    batch = ragged_batch(padding=padding, rubbish=rubbish)
    outputs = apply(params, batch)
    for video, length in enumerate(LENGTHS):
        for name, expected in oracle(params, batch["features"][video, :length]).items():
            array = getattr(outputs, name)[video]
            array = array[:length] if name in ("embedding", "scores", "foreground") else array
            np.testing.assert_allclose(array, expected, atol=2e-5, err_msg=name)
        for attention in (outputs.class_attention[video], outputs.foreground_attention[video]):
            np.testing.assert_allclose(attention[:, :length].sum(axis=1), 1, rtol=1e-5)
            assert not np.asarray(attention)[:, length:].any()
    for array in (outputs.embedding, outputs.scores, outputs.foreground):
        assert not np.asarray(array)[~batch["mask"]].any(), "padding has an embedding of its own, which is left out"


def test_settings_reach_the_network(params):
    batch = ragged_batch()
    settings = {"model.scale": 3.0, "model.logit_factor": 1.0, "model.temperatures": (4.0,)}
    outputs = apply(params, batch, net=network(**settings))
    expected = oracle(params, batch["features"][2], 3.0, 1.0, (4,))
    for name in ("scores", "class_wise", "class_agnostic", "instances"):
        np.testing.assert_allclose(getattr(outputs, name)[2], expected[name], atol=2e-5, err_msg=name)


def test_embeddings_that_are_zero_score_zero_and_leave_gradients_finite():
    """The published code divides 0 by 0 here and loses the training."""
    params = make().init(jax.random.key(0))[0]["joint"]
    batch = ragged_batch() | {"features": np.zeros((4, 9, WIDTH), np.float32)}
    outputs = apply(params, batch)
    assert not any(np.asarray(leaf).any() for leaf in (outputs.embedding, outputs.scores, outputs.class_wise))

    def loss(params):
        outputs = apply(params, batch)
        return sum(jnp.sum(each**2 + each) for each in (outputs.class_wise, outputs.class_agnostic, outputs.instances))

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(loss)(params)))


def test_given_masks_of_dropout_are_used_and_the_rest_is_scaled(params):
    batch, rng = ragged_batch(), np.random.default_rng(1)
    keep = tuple(rng.random((4, 9, channels)) < 0.5 for channels in (WIDTH, CHANNELS))
    z = apply(params, batch, keep=keep, net=network(**{"model.dropout": 0.5})).embedding
    h = np.maximum(batch["features"] @ params["hidden"]["kernel"] + params["hidden"]["bias"], 0)
    h = np.where(keep[0], 2 * h, 0)
    expected = np.where(keep[1], 2 * np.maximum(h @ params["embedding"]["kernel"] + params["embedding"]["bias"], 0), 0)
    np.testing.assert_allclose(z, np.where(batch["mask"][..., None], expected, 0), atol=1e-5)


def test_dropout_belongs_to_training_and_to_the_place_in_the_batch(params):
    batch, net = ragged_batch(), network(**{"model.dropout": 0.5})
    batch["features"] = np.repeat(batch["features"][2:3], 4, axis=0)
    batch["mask"] = np.ones_like(batch["mask"])

    def embedding(order):
        return np.asarray(apply(params, batch, order, net=net, rngs={"dropout": jax.random.key(0)}).embedding)

    plain, dropped = embedding(None), embedding(np.array([0, 1, 2, 0], np.int32))
    np.testing.assert_array_equal(plain, apply(params, batch).embedding)
    np.testing.assert_array_equal(dropped[0], dropped[3])
    assert (dropped[0] != dropped[1]).any() and (dropped[1] != plain[1]).any()


def test_bfloat16_is_for_the_embedding_alone(params):
    batch = ragged_batch()
    outputs, exact = apply(params, batch, net=network(**{"model.dtype": "bfloat16"})), apply(params, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(outputs.instances, exact.instances, atol=0.3)
    assert (outputs.embedding != exact.embedding).any()
