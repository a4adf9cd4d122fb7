"""Which videos lie in a file or folder that a user names, without annotations."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import save
from tsc_jax.data.feature_inputs import features_in, is_features

RGB, FLOW = np.zeros((3, 4), np.float32), np.ones((4, 4), np.float32)

PLACES = {
    "streams below a subset": ("test/rgb/v.npy", "test/flow/v.npy", "v"),
    "streams above a subset": ("rgb/test/v.npy", "flow/test/v.npy", "v"),
    "streams": ("RGB/v.npy", "Flow/v.npy", "v"),
    "folders of classes": ("rgb/Jump/v.npy", "flow/Jump/v.npy", "Jump/v"),
}


@pytest.mark.parametrize("places", PLACES)
def test_rgb_and_flow_in_a_folder_are_one_input(tmp_path, places):
    rgb, flow, name = PLACES[places]
    save(tmp_path / rgb, RGB)
    save(tmp_path / flow, FLOW)
    (video,) = features_in(tmp_path)
    assert video.stem == name
    np.testing.assert_array_equal(video.read(), np.hstack([RGB, FLOW[:3]]))


def test_folders_below_are_looked_into_and_equal_names_are_kept_apart(tmp_path):
    for place in ("b.npy", "Jump/a.npy", "Run/a.npy", ".hidden.npy"):
        save(tmp_path / place, RGB)
    (tmp_path / "notes.txt").write_text("")
    assert [video.stem for video in features_in(tmp_path)] == ["Jump/a", "Run/a", "b"]


def test_a_file_may_hold_one_video_or_many(tmp_path):
    save(tmp_path / "a.npy", RGB)
    np.savez(tmp_path / "b.npz", feats=RGB)
    np.savez(tmp_path / "all.npz", c=RGB, d=FLOW)
    (tmp_path / "e.csv").write_text("1,2\n3,4\n")
    names = {file.name: [video.stem for video in features_in(file)] for file in tmp_path.iterdir()}
    assert names == {"a.npy": ["a"], "b.npz": ["b"], "all.npz": ["c", "d"], "e.csv": ["e"]}
    assert [video.stem for video in features_in(tmp_path)] == ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(features_in(tmp_path / "e.csv")[0].read(), [[1, 2], [3, 4]])
    assert is_features(Path("A.NPY")) and not is_features(Path("a.mp4"))
