"""Features of both layouts: RGB and flow are joined or cut, and invalid features are reported."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import make_examples, save, write_joint, write_per_video
from tsc_jax.data.joint import read_joint
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.errors import InputError


def write_streams(folder: Path, places: tuple[str, str], frames: int = 0) -> Path:
    """The per-video layout with features apart; flow has `frames` snippets more than RGB."""
    write_per_video(folder, make_examples())
    for file in sorted(folder.glob("features/*/*.npy")):
        features = np.load(file)
        file.unlink()
        for place, array in zip(places, (features, np.concatenate([-features, features[:frames]])), strict=True):
            save(folder / "features" / place.format(split=file.parent.name) / file.name, array)
    return folder


@pytest.mark.parametrize("pattern", ["{split}/KIND", "KIND/{split}", "KIND"])
def test_rgb_and_flow_are_joined_wherever_they_lie(tmp_path, pattern):
    folder = write_streams(tmp_path, (pattern.replace("KIND", "rgb"), pattern.replace("KIND", "flow")), frames=1)
    expected = {each.name: each.features for each in make_examples()}
    signs = {"both": (1, -1), "rgb": (1,), "flow": (-1,)}
    for modality, factors in signs.items():
        for video in read_per_video(folder, Options(modality)).splits["test"]:
            array = expected[video.name]
            features = video.read_features()[: len(array)]
            np.testing.assert_array_equal(features, np.concatenate([sign * array for sign in factors], axis=1))


def test_one_stream_alone_is_read_as_it_is(tmp_path):
    folder = write_streams(tmp_path, ("rgb", "other"))
    assert read_per_video(folder).splits["train"][0].read_features().shape[1] == 6
    with pytest.raises(InputError, match='no features of video "v3"'):
        read_per_video(folder, Options("flow"))


def test_streams_of_different_lengths_are_refused(tmp_path):
    source = read_per_video(write_streams(tmp_path, ("rgb", "flow"), frames=2))
    with pytest.raises(InputError, match=r"flow/v3\.npy: has \d+ snippets, but .*rgb/v3\.npy has \d+"):
        source.splits["train"][0].read_features()


def test_a_joined_file_is_cut_in_halves_only_if_it_is_one(tmp_path):
    examples = make_examples(width=2048)
    for source in (
        read_joint(write_joint(tmp_path / "a", examples), Options("flow")),
        read_per_video(write_per_video(tmp_path / "b", examples), Options("flow")),
    ):
        array = source.splits["train"][0].read_features()
        np.testing.assert_array_equal(array, examples[0].features[:, 1024:])
    narrow = read_joint(write_joint(tmp_path / "c", make_examples()), Options("rgb"))
    with pytest.raises(InputError, match=r"features have width 6, but modality rgb can only be cut from .* 2048"):
        narrow.splits["train"][0].read_features()


BAD_FEATURES = {
    "is empty": np.zeros((0, 6), np.float32),
    r"shape \(4,\), expected": np.zeros(4, np.float32),
    r"shape \(1, 4, 6\), expected": np.zeros((1, 4, 6), np.float32),
    "snippet 2 has features that are NaN": np.where(np.arange(24).reshape(4, 6) == 13, np.nan, 0.0),
    "snippet 3 has features that are NaN or infinite": np.where(np.arange(24).reshape(4, 6) == 20, 1e300, 0.0),
    "type <U1, expected numbers": np.full((4, 6), "x"),
    "type complex128, expected numbers": np.zeros((4, 6), complex),
}


@pytest.mark.parametrize("sentence", BAD_FEATURES)
def test_bad_features_are_named(tmp_path, sentence):
    examples = make_examples()
    examples[1].features = BAD_FEATURES[sentence]
    per_video = read_per_video(write_per_video(tmp_path / "a", examples))
    with pytest.raises(InputError, match=rf"features/train/v1\.npy: .*{sentence}"):
        per_video.splits["train"][1].read_features()
    joint = read_joint(write_joint(tmp_path / "b", examples))
    with pytest.raises(InputError, match=rf'Small-I3D-JOINTFeatures\.npy, video "v1": .*{sentence}'):
        joint.splits["train"][1].read_features()
