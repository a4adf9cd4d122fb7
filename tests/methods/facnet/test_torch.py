"""PyTorch weights: one file per modality, imported whole or not at all, and exported unchanged."""

import jax
import numpy as np
import pytest

from tests.methods.facnet.small import CLASSES, make, with_biases
from tests.torch import state_dicts
from tests.training.small import WIDTH, final_variables, small_recipe, toy_run
from tsc_jax.errors import InputError
from tsc_jax.methods.facnet import torch
from tsc_jax.report.run import report
from tsc_jax.torch.files import read_state_dict
from tsc_jax.training import checkpoints, torch_weights
from tsc_jax.training.torch_weights import export_weights, import_weights
from tsc_jax.training.trained import open_trained

CHANNELS = 12  # of the small recipe
SHAPES = {
    "feature_embedding.process.0.weight": (8, 8),
    "feature_embedding.process.0.bias": (8,),
    "feature_embedding.process.3.weight": (CHANNELS, 8),
    "feature_embedding.process.3.bias": (CHANNELS,),
    "ac_center": (CLASSES + 1, CHANNELS),
    "fg_center": (1, CHANNELS),
}


def write_model(path, seed: int, **changes) -> dict[str, np.ndarray]:
    """A file of one modality; `changes` replace tensors, None leaves them out."""
    rng = np.random.default_rng(seed)
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()} | changes
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    state_dicts.write(path, tensors)
    return tensors


@pytest.fixture
def models(tmp_path):
    """The files of two modalities, and their tensors."""
    paths = [tmp_path / "RGB.pkl", tmp_path / "FLOW.pkl"]
    return paths, [write_model(path, seed) for seed, path in enumerate(paths)]


def test_tensors_of_the_published_names_go_to_the_network_and_back():
    params = jax.device_get(with_biases(make().init(jax.random.key(0))[0]))
    tensors = torch.tensors_of(params)
    assert tensors.keys() == SHAPES.keys()
    np.testing.assert_array_equal(
        tensors["feature_embedding.process.3.weight"], params["joint"]["embedding"]["kernel"].T
    )
    again, _, step = torch.from_tensors(tensors, params, {})
    jax.tree.map(np.testing.assert_array_equal, params, again)
    assert step == 0


def test_two_files_become_a_run_and_two_files_again(models, data_dir, tmp_path, monkeypatch):
    # The files are written as torch.save writes them, which needs PyTorch.
    monkeypatch.setattr(torch_weights, "write_state_dict", state_dicts.write)
    paths, tensors = models
    sentence = import_weights(paths, tmp_path / "run", small_recipe("facnet", data_dir), None)
    assert f"12 tensors of step 0; 3 classes, width {WIDTH}" in sentence
    variables = final_variables(tmp_path / "run")
    for name, own in zip(("rgb", "flow"), tensors, strict=True):
        np.testing.assert_array_equal(variables[name]["centres"]["classes"], own["ac_center"])
    assert open_trained(tmp_path / "run").about["imported"]["file"] == "RGB.pkl, FLOW.pkl"
    assert "imported from RGB.pkl, FLOW.pkl" in report(tmp_path / "run", {})
    sentence = export_weights(tmp_path / "run", tmp_path / "OUT.pkl", checkpoints.LAST, None)
    assert "OUT_rgb.pkl and" in sentence and "OUT_flow.pkl: 12 tensors of step 0" in sentence
    for name, own in zip(("rgb", "flow"), tensors, strict=True):
        written = read_state_dict(tmp_path / f"OUT_{name}.pkl")
        assert {key: array.tobytes() for key, array in written.items()} == {
            key: array.tobytes() for key, array in own.items()
        }
    assert not (tmp_path / "OUT.pkl").exists()


def test_one_modality_is_one_file(models, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_weights, "write_state_dict", state_dicts.write)
    paths, tensors = models
    classes = tmp_path / "classes.txt"
    classes.write_text("a\nb\nc\n")
    config = small_recipe("facnet", data_dir, **{"model.modalities": 1, "data.name": "other"})
    assert "width 8" in import_weights(paths[:1], tmp_path / "run", config, classes)
    export_weights(tmp_path / "run", tmp_path / "OUT.pkl", checkpoints.LAST, None)
    np.testing.assert_array_equal(read_state_dict(tmp_path / "OUT.pkl")["fg_center"], tensors[0]["fg_center"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ac_center": None}, r"tensor flow/ac_center is missing|missing tensor: flow/ac_center"),
        ({"extra": np.zeros(2, np.float32)}, "unexpected tensor: flow/extra"),
        ({"fg_center": np.zeros((2, CHANNELS), np.float32)}, r"flow/fg_center has shape \(2, 12\), expected \(1, 12\)"),
        ({"ac_center": np.full((4, CHANNELS), np.nan, np.float32)}, "flow/ac_center holds NaN or infinite numbers"),
        ({"ac_center": np.zeros((6, CHANNELS), np.float32)}, r"flow/ac_center has shape \(6, 12\), expected \(4, 12\)"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing(models, data_dir, tmp_path, changes, message):
    paths, _ = models
    write_model(paths[1], 1, **changes)
    with pytest.raises(InputError, match=rf"RGB\.pkl, .*FLOW\.pkl: .*{message}"):
        import_weights(paths, tmp_path / "run", small_recipe("facnet", data_dir), None)
    assert not (tmp_path / "run").exists()


def test_another_number_of_files_another_recipe_and_a_bank_are_refused(models, data_dir, tmp_path):
    (rgb, flow), _ = models
    both, one = small_recipe("facnet", data_dir), small_recipe("facnet", data_dir, **{"model.modalities": 1})
    cases = [
        ([rgb], both, r"RGB\.pkl: the weights of this recipe are in 2 files \(rgb, flow\), not in 1"),
        ([rgb, flow], one, r"RGB\.pkl, .*FLOW\.pkl: the weights of this recipe are in one file, not in 2"),
        ([rgb], small_recipe("facnet", data_dir, **{"model.modalities": 3}), r"config\.model\.modalities is 3"),
        (
            [rgb, flow],
            small_recipe("facnet", data_dir, **{"model.embedding_width": 5}),
            "embedding_width is 5, but .* 12",
        ),
        ([rgb, flow], toy_run(data_dir), r"config\.method is 'toy'"),
    ]
    for paths, config, message in cases:
        with pytest.raises(InputError, match=message):
            import_weights(paths, tmp_path / "run", config, None)
        assert not (tmp_path / "run").exists()
    import_weights([rgb, flow], tmp_path / "run", both, None)
    with pytest.raises(InputError, match=r"--bank is 'thumos', but config\.method is 'facnet', which has no bank"):
        export_weights(tmp_path / "run", tmp_path / "OUT.pkl", checkpoints.LAST, "thumos")
    assert not list(tmp_path.glob("OUT*"))
