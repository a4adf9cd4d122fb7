"""PyTorch tensors of RSKP."""

import jax
import numpy as np
import pytest

from tests.methods.rskp.small import CLASSES, SIZES, WIDTH, small_config, small_method
from tests.torch import state_dicts
from tsc_jax.errors import InputError
from tsc_jax.method import Sizes
from tsc_jax.methods.rskp import torch
from tsc_jax.training.torch_weights import import_weights
from tsc_jax.training.trained import open_trained

SHAPES = {
    "mu": (4, 8),
    "ac_center": (CLASSES + 1, 8),
    "fg_center": (1, 8),
    "feature_embedding.0.weight": (8, WIDTH),
    "feature_embedding.0.bias": (8,),
}


def made_up_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def template():
    return jax.eval_shape(small_method().init, jax.random.key(0))


def test_a_round_trip_changes_no_byte_and_the_memory_is_empty():
    tensors = made_up_tensors()
    params, carried, step = torch.from_tensors(tensors, *template())
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, template()[0]) and step == 0
    assert not carried["memory"].scores.any() and carried["memory"].prototypes.shape == (CLASSES, 3, 8)
    for name, tensor in torch.tensors_of(params).items():
        np.testing.assert_array_equal(tensor, tensors[name])


def test_tensors_tell_their_sizes():
    config, sizes, facts = torch.fit_recipe(small_config(), made_up_tensors())
    assert sizes == Sizes(CLASSES, WIDTH) and facts == {} and SIZES.classes == CLASSES
    assert config == small_config()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu": None}, "tensor mu is missing"),
        ({"mu": np.zeros(8, np.float32)}, r"tensor mu has shape \(8,\), expected 2 axes"),
        ({"mu": np.zeros((5, 8), np.float32)}, "config.model.prototypes is 4, but the tensors have 5"),
        ({"fg_center": np.zeros((2, 8), np.float32)}, r"fg_center has shape \(2, 8\), expected \(1, 8\)"),
        ({"fg_center": np.full((1, 8), np.nan, np.float32)}, "fg_center holds NaN"),
        ({"more": np.zeros(1, np.float32)}, "unexpected tensor: more"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    tensors = made_up_tensors() | changes
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(InputError, match=message):
        torch.fit_recipe(small_config(), tensors)
        torch.from_tensors(tensors, *template())


def test_an_imported_file_is_a_run_that_gives_its_tensors_back(tmp_path):
    tensors = made_up_tensors()
    state_dicts.write(tmp_path / "model.pkl", tensors)
    (tmp_path / "classes.txt").write_text("run\njump\nthrow\n")
    import_weights([tmp_path / "model.pkl"], tmp_path / "run", small_config(), tmp_path / "classes.txt")
    trained = open_trained(tmp_path / "run")
    assert trained.step == 0 and trained.sizes == Sizes(CLASSES, WIDTH)
    for name, tensor in torch.to_tensors(trained, None).items():
        np.testing.assert_array_equal(tensor, tensors[name])
