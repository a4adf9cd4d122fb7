"""Tensors of the published implementation come in whole or not at all, and go out unchanged."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tests.methods.mmsd.small import CLASSES, WIDTH, make, ragged_batch, small_config, small_state
from tsc_jax.errors import InputError
from tsc_jax.methods.mmsd import torch


def made_up() -> dict[str, np.ndarray]:
    method = make(small_config())
    return torch.tensors_of(small_state(method).params)


def imported(tensors, config=None):
    config, sizes, facts = torch.fit_recipe(config or small_config(), tensors)
    assert facts == {}
    template = jax.eval_shape(make(config, sizes).init, jax.random.key(0))
    return torch.from_tensors(tensors, *template)


def test_a_round_trip_changes_no_byte():
    tensors = made_up()
    assert {name: tensor.shape for name, tensor in tensors.items() if "peer" in name or "fusion" in name} == {
        "peer_stream.ac_center": (CLASSES + 1, 12),
        "peer_stream.fg_center": (1, 12),
        "fusion_embedding.0.weight": (12, 24),
        "fusion_embedding.0.bias": (12,),
    }
    params, carried, step = imported(tensors)
    assert step == 0 and not carried["labels"].any()
    jax.tree.map(np.testing.assert_array_equal, params, small_state(make(small_config())).params)
    trained = SimpleNamespace(variables={"params": params}, config=small_config())
    exported = torch.to_tensors(trained, None)
    assert exported.keys() == tensors.keys()
    assert all(exported[name].tobytes() == tensor.tobytes() for name, tensor in tensors.items())


def test_imported_weights_compute_what_the_network_does():
    """h_R, the first input of the fusion, from the tensors alone."""
    tensors, batch = made_up(), ragged_batch(videos=2)
    kernel, bias = (tensors[f"rgb_embedding.process1.0.{kind}"] for kind in ("weight", "bias"))
    expected = np.maximum(batch["features"][..., : WIDTH // 2] @ kernel.T + bias, 0)
    params, _, _ = imported(tensors)
    linear = params["rgb_first"]["linear"]
    np.testing.assert_allclose(
        np.maximum(batch["features"][..., : WIDTH // 2] @ linear["kernel"] + linear["bias"], 0), expected, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion_embedding.0.bias": None}, r"missing tensor: fusion_embedding\.0\.bias"),
        ({"rgb_stream.ac_center": None}, r"tensor rgb_stream\.ac_center is missing"),
        ({"fc.weight": np.zeros(2)}, r"unexpected tensor: fc\.weight"),
        ({"flow_stream.fg_center": np.zeros((1, 3))}, r"flow_stream\.fg_center has shape \(1, 3\), expected \(1, 12\)"),
        ({"flow_stream.fg_center": np.full((1, 12), np.nan)}, "holds NaN or infinite numbers"),
        ({"rgb_embedding.process1.0.weight": np.zeros(5)}, r"has shape \(5,\), expected 2 axes"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    tensors = {name: tensor for name, tensor in (made_up() | changes).items() if tensor is not None}
    with pytest.raises(InputError, match=message):
        imported(tensors)


@pytest.mark.parametrize(("key", "value", "held"), [("embedding_width", 7, 12), ("modalities", 1, 2)])
def test_a_recipe_of_other_sizes_is_refused(key, value, held):
    with pytest.raises(InputError, match=rf"config\.model\.{key} is {value}, but the tensors have {held}"):
        torch.fit_recipe(small_config(**{f"model.{key}": value}), made_up())


def test_one_modality_has_no_published_tensors():
    trained = SimpleNamespace(config=small_config(**{"model.modalities": 1}))
    with pytest.raises(InputError, match=r"config\.model\.modalities is 1, but the published tensors"):
        torch.to_tensors(trained, None)
