"""`config.refine` on methods that know nothing of it."""

import jax
import numpy as np
import pytest

from tests.training.small import RECIPES, WIDTH
from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.inference import make_inference
from tsc_jax.method import Method, Sizes, first_state
from tsc_jax.training.recipes import complete

SIZES = Sizes(3, WIDTH, videos=4, snippets=40)
LENGTHS = np.array([1, 7, 12])
MASK = np.arange(12) < LENGTHS[:, None]
FEATURES = np.random.default_rng(0).random((3, 12, WIDTH)).astype(np.float32)


def config_of(name: str, strength: float | None, changes: dict | None = None):
    config = RECIPES[name]("nowhere")
    with config.unlocked():
        config.refine = {"strength": strength or 0.0, "laplacian": "mean", "bandwidth": "median"}
        config.refine.update(changes or {})
        if strength is None:
            del config.refine
    return config


def variables_of(method: Method):
    state = first_state(method, 0)
    return method.variables(state.params, state.carried)


@pytest.fixture(scope="module", params=["tscnet", "toy"])
def pair(request):
    """A method's name, its variables, and its outputs without and with refinement."""
    plain, refined = (methods.make(config_of(request.param, strength), SIZES) for strength in (None, 2.0))
    variables = variables_of(plain)
    return request.param, variables, *(jax.jit(each.forward)(variables, FEATURES, MASK) for each in (plain, refined))


def test_every_column_keeps_its_mean_and_its_range(pair):
    _, _, plain, refined = pair
    assert set(plain.snippets) == set(refined.snippets) >= {"cas", "attention"}
    for name, array in plain.snippets.items():
        assert refined.snippets[name].dtype == array.dtype and refined.snippets[name].shape == array.shape
        for video, length in enumerate(LENGTHS):
            before, after = (np.asarray(each[video, :length]) for each in (array, refined.snippets[name]))
            np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=1e-5)
            assert (after >= before.min(axis=0) - 1e-5).all() and (after <= before.max(axis=0) + 1e-5).all()
    assert np.abs(plain.snippets["cas"] - refined.snippets["cas"]).max() > 1e-3
    for name, array in plain.videos.items():
        np.testing.assert_array_equal(refined.videos[name], array)


def test_padding_changes_nothing(pair):
    name, variables, _, refined = pair
    forward = jax.jit(methods.make(config_of(name, 2.0), SIZES).forward)
    for video, length in enumerate(LENGTHS):
        alone = forward(variables, FEATURES[video : video + 1, :length], MASK[video : video + 1, :length])
        for output, array in alone.snippets.items():
            np.testing.assert_allclose(array[0], refined.snippets[output][video, :length], atol=1e-5)


def test_off_is_the_method_itself(pair):
    name, variables, plain, _ = pair
    off = jax.jit(methods.make(config_of(name, 0.0), SIZES).forward)(variables, FEATURES, MASK)
    jax.tree.map(np.testing.assert_array_equal, off, plain)


def test_a_video_cut_into_chunks_is_refined_as_a_whole():
    inference = make_inference(config_of("tscnet", 2.0), SIZES)
    variables = variables_of(inference.method)
    cut = inference.chunked(variables, FEATURES[2], 5)
    whole = inference.whole(variables, FEATURES[2:], MASK[2:])
    for name, array in whole.snippets.items():
        np.testing.assert_allclose(cut.snippets[name], array, atol=1e-5)


def test_a_refined_forward_pass_is_exported_for_every_platform():
    method = methods.make(config_of("toy", 2.0), SIZES)
    shapes = (jax.ShapeDtypeStruct(FEATURES.shape, np.float32), jax.ShapeDtypeStruct(MASK.shape, bool))
    variables = variables_of(method)

    def forward(variables, features, mask):
        return method.forward(variables, features, mask).snippets

    program = jax.export.export(jax.jit(forward), platforms=("cpu", "cuda", "tpu"))(variables, *shapes)
    read = jax.export.deserialize(program.serialize()).call(variables, FEATURES, MASK)
    for name, array in jax.jit(forward)(variables, FEATURES, MASK).items():
        np.testing.assert_allclose(read[name], array, atol=1e-6)


def test_earlier_recipes_are_completed_with_the_value_that_means_off():
    assert complete({"method": "toy"}).refine.strength == 0


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"strength": -1.0}, "strength"), ({"laplacian": "max"}, "laplacian"), ({"bandwidth": "mean"}, "bandwidth")],
)
def test_bad_values_are_refused(changes, key):
    with pytest.raises(InputError, match=f"config.refine.{key}"):
        methods.make(config_of("toy", 1.0, changes), SIZES)


def test_grn_is_not_refined_twice():
    with pytest.raises(InputError, match=r"refine\.strength"):
        methods.make(config_of("grn", 1.0), SIZES)
