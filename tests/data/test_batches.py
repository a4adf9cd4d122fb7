"""Batches are a pure function of (seed, step); their content depends on neither devices nor processes."""

import functools

import ml_collections
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsc_jax.data.batches import (
    batch_maker,
    check_batches,
    deal,
    join,
    training_batches,
)
from tsc_jax.data.dataset import Split, Video
from tsc_jax.data.sampling import SAMPLING, epoch_and_place, sample_snippets, sample_videos, steps_within
from tsc_jax.errors import InputError

CLASSES, WIDTH = 3, 2
NAMES = ("jump", "throw", "run")


def recipe(**changes) -> ml_collections.ConfigDict:
    """The section "train" of a recipe."""
    values = {"batches": "pairs", "batch_size": 8, "pairs": 3, "sampling": "all", "snippets": 12, "steps": 6}
    return ml_collections.ConfigDict(values | changes)


@functools.cache
def made_up_split(videos: int = 12) -> Split:
    """Videos whose features say which video and which snippet they are."""
    rng = np.random.default_rng(0)
    known, source = [], []
    for index in range(videos):
        length = int(rng.integers(1, 40))
        labels = np.arange(CLASSES) == index % CLASSES
        known.append(Video(f"v{index:02}", length, length / 2.0, labels, np.zeros((0, 2)), np.zeros(0, int)))
        features = np.stack([np.full(length, index), np.arange(length)], axis=1).astype(np.float32)
        source.append(features)
    return Split(tuple(known), np.arange(videos), source.__getitem__)


def share_of(parts: list[dict]) -> dict:
    """The shares of all processes as the rows of one global batch, in its order; "paired" is of devices."""
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "paired"}
    back = np.argsort(rows["order"], axis=None)
    return {name: array.reshape(-1, *array.shape[2:])[back] for name, array in rows.items()}


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 12))
def test_dealing_keeps_every_video_once_and_every_pair_together(devices, share, pairs):
    batch_size = devices * share
    if pairs > devices * (share // 2):
        with pytest.raises(InputError, match=r"config\.train\.pairs"):
            deal(batch_size, pairs, devices)
        return
    dealt = deal(batch_size, pairs, devices)
    assert sorted(dealt.order.flat) == list(range(batch_size))
    together = {
        tuple(order[2 * p : 2 * p + 2])
        for order, hand in zip(dealt.order, dealt.paired, strict=True)
        for p in np.flatnonzero(hand)
    }
    assert together == {(2 * p, 2 * p + 1) for p in range(pairs)}


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


def all_batches(train, first_step: int = 0, **how) -> list[dict]:
    how = {"seed": 0, "devices": 2} | how
    return list(training_batches([batch_maker(made_up_split(), train, **how)], first_step, train.steps))


@pytest.mark.parametrize("batches", ["pairs", "epochs"])
def test_a_resumed_run_gets_the_batches_it_would_have_got(batches):
    train = recipe(batches=batches)
    whole, rest = all_batches(train), all_batches(train, first_step=4)
    assert (len(whole), len(rest)) == (6, 2)
    for one, other in zip(whole[4:], rest, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("batches", ["pairs", "epochs"])
def test_another_seed_gives_other_batches(batches):
    one, other = (all_batches(recipe(batches=batches), seed=seed)[0] for seed in (0, 1))
    assert (one["video"] != other["video"]).any()


@pytest.mark.parametrize("batches", ["pairs", "epochs"])
def test_every_row_holds_its_video_and_says_which_snippets(batches):
    """`snippets` counts in the snippets of all training videos, one after the other."""
    split = made_up_split()
    everything = np.concatenate([split.features(index) for index in range(12)])
    for batch in all_batches(recipe(batches=batches)):
        for place in np.ndindex(batch["video"].shape):
            index, mask = batch["video"][place], batch["mask"][place]
            if index < 0:
                continue
            np.testing.assert_array_equal(batch["labels"][place], split.videos[index].labels)
            np.testing.assert_array_equal(batch["features"][place][mask], everything[batch["snippets"][place][mask]])
            assert (batch["features"][place][mask][:, 0] == index).all()
            assert not batch["features"][place][~mask].any()
            if batches == "epochs":
                np.testing.assert_array_equal(batch["features"][place][mask], split.features(index))


def test_batches_of_pairs_do_not_depend_on_devices_or_processes():
    alone = all_batches(recipe(), devices=1)
    halves = [all_batches(recipe(), devices=4, local=slice(k, k + 2)) for k in (0, 2)]
    for step, batch in enumerate(alone):
        assert_same(share_of([batch]), share_of([half[step] for half in halves]))


@settings(max_examples=30)
@given(
    st.integers(0, 1000), st.integers(1, 12), st.integers(1, 14), st.sampled_from([1, 2, 8]), st.sampled_from([1, 2])
)
def test_every_epoch_shows_every_video_once_on_any_number_of_devices(seed, videos, batch_size, devices, processes):
    split, train = made_up_split(videos), recipe(batches="epochs", batch_size=batch_size)
    local = max(1, devices // processes)
    shares = [slice(first, first + local) for first in range(0, devices, local)]
    makers = [batch_maker(split, train, seed, devices, share) for share in shares]
    alone, shown = batch_maker(split, train, seed, 1), []
    for step in range(-(-2 * videos // batch_size)):
        parts = [maker(step) for maker in makers]
        assert all(part["order"].shape[0] == local and not part["paired"].any() for part in parts)
        batch, expected = share_of(parts), share_of([alone(step)])
        rows = np.arange(len(batch["video"]))
        assert len(rows) == batch_size + -batch_size % devices
        np.testing.assert_array_equal(batch["order"], rows)
        assert_same({name: array[:batch_size] for name, array in batch.items()}, expected)
        empty = batch["video"] < 0
        np.testing.assert_array_equal(empty, rows >= batch_size)
        for name in ("features", "mask", "labels", "snippets"):
            assert not batch[name][empty].any(), name
        assert batch["mask"][~empty].any(axis=1).all()
        shown += batch["video"][~empty].tolist()
    first, second = shown[:videos], shown[videos : 2 * videos]
    assert sorted(first) == sorted(second) == list(range(videos))
    assert videos < 6 or first != second, "epochs are shuffled anew"


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30))
def test_batches_run_on_across_the_ends_of_epochs(videos, batch_size, step):
    epochs, places = epoch_and_place(step, np.arange(batch_size), batch_size, videos)
    np.testing.assert_array_equal(epochs * videos + places, step * batch_size + np.arange(batch_size))
    for epoch in epochs:
        assert (steps_within(epoch, batch_size, videos) <= step) and (
            steps_within(epoch + 1, batch_size, videos) >= step
        ), "the step stands in the epoch, or spans its ends"


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_sampled_snippets_stand_in_the_order_of_time(length, number, seed):
    subset, spans = (SAMPLING[name](length, number, np.random.default_rng(seed)) for name in ("subset", "spans"))
    assert len(subset) == min(length, number) and (np.diff(subset) > 0).all()
    assert len(spans) == number and (np.diff(spans) >= 0).all() and spans[0] >= 0 and spans[-1] < length
    if length >= number:
        np.testing.assert_array_equal((spans * number + number - 1) // length, np.arange(number))


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_batches_of_several_seeds_are_padded_to_one_length(first, runs):
    train = recipe(batches="epochs", batch_size=2)
    batches = [batch_maker(made_up_split(), train, seed, 1)(0) for seed in range(first, first + runs)]
    joined = join(batches)
    length = max(batch["mask"].shape[2] for batch in batches)
    assert joined["mask"].shape == (runs, 2, length)
    for run, batch in enumerate(batches):
        own = batch["mask"].shape[2]
        for name, array in batch.items():
            ours = joined[name][run : run + 1]
            if name in ("features", "mask", "snippets"):
                assert not ours[:, :, own:].any()
                ours = ours[:, :, :own]
            np.testing.assert_array_equal(ours, array)


def labelled(*classes: str) -> Split:
    """One video of each of the classes given."""
    videos = [
        Video(str(index), 3, 1.5, np.array([name == own for name in NAMES]), np.zeros((0, 2)), np.zeros(0, int))
        for index, own in enumerate(classes)
    ]
    return Split(tuple(videos), np.arange(len(videos)), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": "random"}, r"config\.train\.batches is 'random', expected one of pairs, epochs"),
        ({"batch_size": 0}, r"config\.train\.batch_size is 0, expected 1 or more"),
        ({"pairs": -1}, r"config\.train\.pairs is -1, expected 0 or more"),
        ({"snippets": 0}, r"config\.train\.snippets is 0, expected 1 or more"),
    ],
)
def test_batches_that_cannot_be_made_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        check_batches(recipe(**changes), labelled("jump", "jump"), NAMES)


def test_pairs_need_two_videos_of_every_class_that_has_any():
    with pytest.raises(InputError, match=r"config\.train\.pairs is 3, but class run has 1 training video"):
        check_batches(recipe(), labelled("jump", "run", "jump"), NAMES)
    with pytest.raises(InputError, match=r"config\.train\.pairs is 3, but no class has 2 training videos"):
        check_batches(recipe(), labelled("none of them", "none of them"), NAMES)
    for train in (recipe(pairs=0), recipe(batches="epochs")):
        check_batches(train, labelled("jump", "run", "jump"), NAMES)
    check_batches(recipe(), labelled("jump", "jump"), NAMES)
