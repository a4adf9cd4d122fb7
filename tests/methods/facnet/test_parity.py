"""The comparison with recordings notices wrong numbers; tests/methods/test_contract.py compares the right ones."""

import numpy as np
import pytest

from configs import recipe
from tsc_jax import parity
from tsc_jax.errors import InputError
from tsc_jax.methods.facnet.parity import check_model, check_proposals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden(shared):
    return shared / "methods" / "facnet" / "golden"


def fails(rows) -> set[str]:
    return {row.quantity for row in rows if row.verdict != parity.OK}


def test_recorded_numbers_on_two_devices(golden):
    recording = parity.read_recording(golden / "model.npz")
    assert not fails(check_model(recording, recipe("facnet", "thumos14"), devices=2))


def test_each_file_alone_is_recognised(golden, tmp_path):
    for name in ("model.npz", "proposals.npz"):
        folder = tmp_path / name.removesuffix(".npz")
        folder.mkdir()
        (folder / name).symlink_to(golden / name)
        assert parity.method_of(folder) == "facnet"


def test_a_wrong_number_of_a_model_is_found(golden):
    recording = parity.read_recording(golden / "model.npz")
    wrong = {
        "eval/att_fg", "train/cw_logits", "loss/mil", "loss/sum", "grad/fg_center", "grad_cw/ac_center",
        "drop/loss/ca", "drop/grad/ac_center", "adam/losses", "adam_large/final/ac_center",
    }  # fmt: skip
    changed = {name: recording[name] * (1 + 1e-4) for name in wrong} | {"eval/unknown": np.zeros(2)}
    rows = check_model(recording | changed, recipe("facnet", "thumos14"), devices=1)
    assert fails(rows) == changed.keys()


def test_mistakes_that_hide_from_outputs_are_found(golden):
    """Those that the recording's own page calls the quietest."""
    recording = parity.read_recording(golden / "model.npz")
    steps = "adam_large/lr_wd_beta1_beta2_eps_steps"
    settings = recording[steps].copy()
    settings[3] = 0.999
    rows = check_model(recording | {steps: settings}, recipe("facnet", "thumos14"), devices=1)
    assert any(name.startswith("adam_large/final/") for name in fails(rows))


def test_wrong_proposals_and_another_recipe_are_found(golden):
    recording = parity.read_recording(golden / "proposals.npz")
    config = recipe("facnet", "thumos14")
    changed = {
        "5/fused_proposals": recording["5/fused_proposals"][::-1],
        "6/rgb_candidates": recording["6/rgb_candidates"] + [0, 0, 0, 1e-6],
        "evaluation/map_flow_filtered": recording["evaluation/map_flow_filtered"] + 1e-5,
        "evaluation/map_fused_class_0_empty": recording["evaluation/map_fused_class_0_empty"] + 1,
    }
    assert fails(check_proposals(recording | changed, config)) >= {
        "5/fused_proposals segments", "6/rgb_candidates scores", *(name for name in changed if "map" in name),
    }  # fmt: skip
    config.proposals.overrun = 0
    assert "evaluation/map_rgb" in fails(check_proposals(recording, config))


def test_a_recording_of_something_else_is_one_sentence(golden, tmp_path):
    recording = parity.read_recording(golden / "model.npz")
    del recording["init/feature_embedding.process.3.bias"]
    np.savez(tmp_path / "model.npz", **recording)
    with pytest.raises(InputError, match=r"model\.npz: missing tensor: feature_embedding\.process\.3\.bias"):
        list(parity.check_folder(tmp_path, recipe("facnet", "thumos14"), devices=1))
