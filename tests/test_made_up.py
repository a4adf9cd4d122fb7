"""Simulated THUMOS-14 is a data set like the real one: it prepares, and its classes can be told apart."""

import numpy as np
import pytest

from benchmarks.made_up import KNOWN, made_up_videos, make_features, write
from tests.data.small import prepared
from tsc_jax.data.annotations import read_npy_folder
from tsc_jax.data.per_video import read_per_video

WIDTH = 8


def test_made_up_videos_prepare_like_thumos14(tmp_path):
    snippets = write(tmp_path / "source", made_up_videos(), WIDTH)
    dataset = prepared(read_per_video(tmp_path / "source"), tmp_path / "data", "thumos14")
    assert (len(dataset.train.videos), len(dataset.test.videos), dataset.width) == (200, 212, WIDTH)
    assert dataset.classes == KNOWN.classes and dataset.snippets_per_second == KNOWN.snippets_per_second
    videos = (*dataset.train.videos, *dataset.test.videos)
    assert sum(video.num_snippets for video in videos) == snippets
    assert all(video.rate_fits for video in videos)
    assert (np.sum([video.labels for video in dataset.train.videos], axis=0) >= 2).all()  # pairs of every class


def test_the_real_annotations_give_the_real_lengths(shared):
    videos = read_npy_folder(shared / "annotations" / "Thumos14reduced-Annotations")
    means = np.ones((len(KNOWN.classes) + 1, 1), np.float32)
    lengths = {"validation": [], "test": []}
    for video in videos:
        lengths[video.subset].append(len(make_features(video, means, np.random.default_rng(0))))
    assert {subset: len(each) for subset, each in lengths.items()} == {"validation": 200, "test": 212}
    assert max(lengths["test"]) == pytest.approx(2615, abs=2)
    assert np.median(lengths["test"]) == pytest.approx(241, rel=0.1)


def test_snippets_lie_around_the_mean_of_their_class():
    means = np.random.default_rng(0).exponential(size=(len(KNOWN.classes) + 1, 256)).astype(np.float32)
    video = next(video for video in made_up_videos() if len(video.segments) > 5)
    features = make_features(video, means, np.random.default_rng(1))
    assert features.dtype == np.float32 and (features >= 0).all()
    nearest = np.linalg.norm(features[:, None] - means, axis=2).argmin(axis=1)
    assert set(nearest) <= {KNOWN.classes.index(label) for label in video.labels} | {len(KNOWN.classes)}
    background = features[nearest == len(KNOWN.classes)] - means[-1]
    assert np.std(np.diff(background, axis=0)) < np.std(background)  # noise without smoothness: 1.4 times as much
