"""Batches are a pure function of (seed, step); pairs share a class and stay on one device."""

import ml_collections
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.data.batches import batch_maker, deal, sample_snippets, sample_videos, training_batches
from tsc_jax.data.dataset import Split, Video
from tsc_jax.errors import InputError

TRAIN = ml_collections.ConfigDict({"batch_size": 8, "pairs": 3, "snippets": 12, "steps": 6})


def made_up_split(videos: int = 12, classes: int = 3, width: int = 2) -> Split:
    """Videos whose features say which video and which snippet they are."""
    rng = np.random.default_rng(0)
    known, source = [], []
    for index in range(videos):
        length = int(rng.integers(1, 40))
        labels = np.arange(classes) == index % classes
        known.append(Video(f"v{index:02}", length, length / 2.0, labels, np.zeros((0, 2)), np.zeros(0, int)))
        features = np.stack([np.full(length, index), np.arange(length)], axis=1).astype(np.float32)
        source.append(features)
    return Split(tuple(known), np.arange(videos), source.__getitem__)


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 12))
def test_dealing_keeps_every_video_once_and_every_pair_together(devices, share, pairs):
    batch_size = devices * share
    if pairs > devices * (share // 2):
        with pytest.raises(InputError, match=r"config\.train\.pairs"):
            deal(batch_size, pairs, devices)
        return
    dealt = deal(batch_size, pairs, devices)
    assert sorted(dealt.rows.flat) == list(range(batch_size))
    found = {
        tuple(rows[2 * p : 2 * p + 2])
        for rows, hand in zip(dealt.rows, dealt.paired, strict=True)
        for p in np.flatnonzero(hand)
    }
    assert found == {(2 * p, 2 * p + 1) for p in range(pairs)}


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match=r"config\.train\.batch_size is 10, which 4 devices do not divide"):
        deal(10, 3, 4)


@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 1000))
def test_sampled_snippets_rise_and_cover_the_video(length, number, seed):
    snippets = sample_snippets(length, number, np.random.default_rng(seed))
    assert len(snippets) == number
    assert snippets.min() >= 0 and snippets.max() < length
    points = np.arange(number) * length / number
    assert (snippets >= points.astype(int)).all()
    following = np.append(points[1:].astype(int), length - 1)
    assert (snippets <= np.maximum(points.astype(int), following)).all()


def test_every_snippet_between_two_points_is_drawn_alike():
    drawn = np.concatenate([sample_snippets(8, 2, np.random.default_rng(seed))[:1] for seed in range(2000)])
    counts = np.bincount(drawn, minlength=8)
    assert (counts[:5] > 300).all() and (counts[5:] == 0).all()


@given(st.integers(0, 1000))
def test_pairs_are_two_videos_of_one_class(seed):
    labels = np.stack([video.labels for video in made_up_split().videos])
    videos = sample_videos(labels, 8, 3, np.random.default_rng(seed))
    for one, other in videos[:6].reshape(3, 2):
        assert one != other and (labels[one] & labels[other]).any()


def everything(first_step: int = 0, **how) -> list[dict]:
    how = {"seed": 0, "devices": 2} | how
    return list(training_batches([batch_maker(made_up_split(), TRAIN, **how)], first_step, TRAIN.steps))


def test_a_resumed_run_gets_the_batches_it_would_have_got():
    whole, rest = everything(), everything(first_step=4)
    assert (len(whole), len(rest)) == (6, 2)
    for a, b in zip(whole[4:], rest, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_the_content_does_not_depend_on_devices_or_processes():
    alone = everything(devices=1)
    halves = [everything(devices=4, local=slice(k, k + 2)) for k in (0, 2)]
    for step, batch in enumerate(alone):
        rows = np.concatenate([half[step]["rows"] for half in halves]).ravel()
        for name in ("features", "labels", "mask"):
            spread = np.concatenate([half[step][name] for half in halves])
            spread = spread.reshape(8, *spread.shape[2:])
            np.testing.assert_array_equal(spread[np.argsort(rows)], batch[name][0][np.argsort(batch["rows"][0])])


def test_another_seed_gives_other_batches():
    a, b = everything()[0], everything(seed=1)[0]
    assert (a["features"] != b["features"]).any()


def test_features_are_those_of_the_labelled_video():
    split = made_up_split()
    for batch in everything():
        videos = batch["features"][..., 0].astype(int)
        assert (videos == videos[..., :1]).all()
        for video, labels in zip(videos[..., 0].flat, batch["labels"].reshape(8, -1), strict=True):
            np.testing.assert_array_equal(labels, split.videos[video].labels)
