"""The numbers of the published implementation come out here, and the check notices any that do not."""

import collections

import ml_collections
import numpy as np
import pytest

from configs import thumos14
from tests.methods.tscnet.tensors import made_up_tensors
from tsc_jax import parity
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet import replay
from tsc_jax.methods.tscnet.parity import check_model, check_proposals

pytestmark = pytest.mark.slow

CONFIG = thumos14.get_config()


def test_recorded_numbers_on_two_devices(shared):
    """tests/methods/test_contract.py compares them on one device."""
    rows = list(parity.check_folder(shared / "golden", CONFIG, devices=2))
    assert collections.Counter(row.quantity.split("/")[0].split("@")[0] for row in rows) == {
        "eval": 9, "train": 9, "train_stats": 8, "loss": 11, "grad": 57, "adam": 70, "proposals": 20, "AP": 9, "mAP": 9,
    }  # fmt: skip
    assert [row for row in rows if row.verdict == parity.FAILS] == []
    # One entry of one tensor hangs on rounding: its gradient and its decay cancel in the first of 5 steps.
    assert {row.quantity for row in rows if row.verdict != parity.OK} <= {"adam/final/cluster_Attn.3.weight"}


@pytest.fixture(scope="module")
def recording() -> dict[str, np.ndarray]:
    """What a network of odd sizes computes here: 7 videos, T 5, D 12, C 3, K 6, attention width 5, frozen bank."""
    config = ml_collections.ConfigDict(CONFIG.to_dict())
    config.model.attention_channels, config.bank.rows = 5.5 / 12, 6
    start = made_up_tensors(config, classes=3, width=12, bank_name="clustering_activitynet_train")
    recording = {f"init/{name}": tensor for name, tensor in start.items()} | {
        "in/features": np.random.default_rng(1).random((7, 5, 12), np.float32),
        "in/labels": np.eye(3)[[0, 0, 1, 1, 2, 2, 0]],
        "adam/lr_wd_steps": np.array([1e-3, 1e-3, 3]),
    }
    setup = replay.set_up(recording, CONFIG, devices=1)
    call = replay.replay_call(setup)
    return recording | call | replay.make_replay_training(setup, call)(start)


def changed(recording, name: str, factor: float) -> dict[str, np.ndarray]:
    """The recording with one entry of one array multiplied."""
    array = recording[name].copy()
    array.flat[np.abs(array).argmax()] *= factor
    return recording | {name: array}


def fails(recording) -> set[str]:
    return {row.quantity for row in check_model(recording, CONFIG, devices=1) if row.verdict == parity.FAILS}


def test_any_sizes_and_a_frozen_bank(recording):
    assert recording["adam/final/clustering_activitynet_train"].shape == (6, 12)
    assert "grad/clustering_activitynet_train" not in recording
    assert fails(recording) == set()


def test_a_wrong_recorded_number_is_found(recording):
    wrong = {
        "eval/cas": 1.0001,
        "train/cluster_feat": 1.0001,
        "train_stats/MHSA_Intra.bn.running_var": 1.0001,
        "loss/time/mil": 1.0001,
        "loss/recon": 1.0001,
        "grad/conv_3x1.weight": 1.02,
        "grad/cluster_transformer.mhatt.attention.fc_o.weight": 1.02,
        "adam/losses": 1.0001,
        "adam/final/time_Attn.3.weight": 1.01,
        "adam/final/cluster_transformer.bn.running_var": 1.001,
        "adam/final/MHSA_Intra.bn.num_batches_tracked": 2,
    }
    for name, factor in wrong.items():
        recording = changed(recording, name, factor)
    recording["adam/final/MHSA_Intra.conv_out.bias"] = recording["init/MHSA_Intra.conv_out.bias"] + 0.02
    recording["grad/time_Attn.5.bias"] = recording["grad/time_Attn.5.bias"] * np.nan
    recording["grad/no_such_tensor"] = np.zeros(3)
    assert fails(recording) == {
        *wrong,
        "adam/final/MHSA_Intra.conv_out.bias",
        "grad/time_Attn.5.bias",
        "grad/no_such_tensor",
    }


def test_a_wrong_weight_is_found(recording):
    """Two BatchNorms of one branch have the same shapes, so exchanging them loads."""
    first, second = (f"init/cluster_transformer.{name}.weight" for name in ("bn", "pwff.bn"))
    calls = {name: array for name, array in recording.items() if name.split("/")[0] not in ("grad", "adam")}
    calls |= {"adam/lr_wd_steps": recording["adam/lr_wd_steps"]}
    assert fails(calls) == set()
    swapped = fails(calls | {first: calls[second], second: calls[first]})
    assert {"eval/cas_cluster", "train/cas_cluster", "loss/cluster/mil"} <= swapped
    assert not any("time" in name for name in swapped)
    assert {"eval/cas_time", "train/time_feat"} <= fails(changed(calls, "init/conv_1x1.weight", 1.001))


def test_wrong_proposals_and_precisions_are_found(shared):
    recording = parity.read_recording(shared / "golden" / "proposals.npz")
    recording["3/proposals"] = recording["3/proposals"][::-1]
    recording["4/proposals"] = recording["4/proposals"] + [0, 0, 0, 2e-6]
    recording["5/proposals"] = recording["5/proposals"][:-1]
    rows = [row.quantity for row in check_proposals(recording, CONFIG) if row.verdict == parity.FAILS]
    expected = ["3 segments", "3 scores", "4 scores", "5 segments", "5 scores"]
    assert rows == [f"proposals/{each}" for each in expected]
    recording = parity.read_recording(shared / "golden" / "detection_map.npz")
    recording["mAP"] = recording["mAP"] + np.array([0, 2e-9, 0, 0, 0, 0, 0, 0, 0])
    rows = [row.quantity for row in parity.check_detection_map(recording) if row.verdict == parity.FAILS]
    assert rows == ["mAP@0.2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init/conv_1x1.bias": None}, "missing tensor: conv_1x1.bias"),
        ({"init/extra": np.zeros(2)}, "unexpected tensor: extra"),
        ({"in/labels": None}, "in/labels is missing"),
        ({"init/conv_1x1.bias": np.zeros(5, np.float32)}, r"tensor conv_1x1.bias has shape \(5,\), expected \(12,\)"),
    ],
)
def test_a_recording_of_something_else_is_one_sentence(recording, changes, message, tmp_path):
    recording = {name: array for name, array in (recording | changes).items() if array is not None}
    np.savez(tmp_path / "model.npz", **recording)
    with pytest.raises(InputError, match=f"model.npz: {message}"):
        list(parity.check_folder(tmp_path, CONFIG, devices=1))


def test_damaged_and_absent_recordings_are_one_sentence(recording, tmp_path):
    with pytest.raises(InputError, match=r"holds none of .*model\.npz"):
        list(parity.check_folder(tmp_path, CONFIG, devices=1))
    np.savez(tmp_path / "model.npz", **recording)
    whole = (tmp_path / "model.npz").read_bytes()
    (tmp_path / "model.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model.npz: not a whole .npz file"):
        list(parity.check_folder(tmp_path, CONFIG, devices=1))
    np.savez(tmp_path / "model.npz", features=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"model.npz: not a whole .npz file"):
        list(parity.check_folder(tmp_path, CONFIG, devices=1))
    with pytest.raises(InputError, match="batch_size is 7, which 2 devices do not divide"):
        np.savez(tmp_path / "model.npz", **recording)
        list(parity.check_folder(tmp_path, CONFIG, devices=2))
