"""The embedded data set is deterministic, and composed without leaks from test to training."""

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.small import prepared
from tsc_jax.data import watch
from tsc_jax.data.checks import check_source
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.errors import InputError

EXERCISES = (*watch.ACTIONS, *watch.BACKGROUND)


@pytest.fixture(scope="module")
def recordings() -> watch.Recordings:
    return watch.read_recordings()


@pytest.fixture(scope="module", params=watch.PLANS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def plan(name) -> watch.Plan:
    return watch.PLANS[name]


@pytest.fixture(scope="module")
def sessions(recordings, plan) -> dict[str, tuple[watch.Session, ...]]:
    return {split: watch.compose_sessions(split, recordings, plan) for split in SPLITS}


@pytest.fixture(scope="module")
def source(plan) -> Source:
    return watch.watch_source(plan)


def everything(source: Source) -> list:
    return [
        (
            video.name,
            video.duration,
            video.labels,
            video.segments,
            video.segment_labels,
            video.read_features().tobytes(),
        )
        for split in SPLITS
        for video in source.splits[split]
    ]


def samples_used(session: watch.Session, fade: int) -> list[tuple[int, int, str, int]]:
    return [
        (session.person, session.arm, stretch.exercise, sample)
        for stretch in session.stretches
        for sample in range(stretch.start - fade, stretch.start + stretch.length + fade)
    ]


def test_two_calls_give_the_same_bytes(source, plan):
    assert everything(source) == everything(watch.watch_source(plan))


def test_it_is_a_data_set_that_can_be_prepared(source, name):
    check_source(source)
    assert (len(source.classes), source.snippets_per_second) == (
        5,
        {"watch_sessions": 2.0, "watch_workouts": 1.0}[name],
    )
    assert {split: len(source.splits[split]) for split in SPLITS} == watch.SESSIONS


def test_its_content_is_that_of_the_reported_results(source, name, tmp_path):
    fingerprints = {
        "watch_sessions": "f0486013d3d7fc8c8f2000905bfe1b92e8bdfbcde8e3ba63f868e73c54cdcdee",
        "watch_workouts": "ae938ec9638987055d8b052a7a4d403711f9598dec1ddf4cfe9724dd12c7f282",
    }
    assert prepared(source, tmp_path, name).fingerprint == fingerprints[name]


def test_the_package_is_read_and_not_imported(source):
    assert "seglearn" not in sys.modules


def test_all_recordings_are_there_and_finite(recordings):
    assert set(recordings) == {(person, arm, name) for person in range(1, 11) for arm in (0, 1) for name in EXERCISES}
    assert all(signal.shape[1] == 6 and np.isfinite(signal).all() for signal in recordings.values())


def test_mirrored_the_right_forearm_points_where_the_left_one_does(recordings):
    # Hanging down, the arm has gravity along its forearm, the watch's x axis.
    hanging = [signal[:, 0].mean() for (_, _, name), signal in recordings.items() if name == "PEN"]
    assert min(hanging) > 0.5


def test_test_people_are_not_trained_on(sessions):
    people = {split: {session.person for session in sessions[split]} for split in SPLITS}
    assert people["train"] & people["test"] == set()
    assert people["train"] | people["test"] == set(range(1, 11))


def test_train_and_test_share_no_sample(sessions, plan):
    used = {
        split: {sample for session in sessions[split] for sample in samples_used(session, plan.fade)}
        for split in SPLITS
    }
    assert used["train"] & used["test"] == set()


def test_no_sample_occurs_twice_in_a_session(sessions, recordings, plan):
    for session in (*sessions["train"], *sessions["test"]):
        used = samples_used(session, plan.fade)
        assert len(used) == len(set(used))
        for stretch in session.stretches:
            length = len(recordings[session.person, session.arm, stretch.exercise])
            assert plan.fade <= stretch.start < stretch.start + stretch.length <= length - plan.fade


def test_background_stands_around_every_action(sessions):
    for session in (*sessions["train"], *sessions["test"]):
        names = [stretch.exercise for stretch in session.stretches]
        assert set(names[::2]) <= set(watch.BACKGROUND)
        assert set(names[1::2]) <= set(watch.ACTIONS)
        assert len(names) % 2 == 1


def test_segments_hold_the_recording_that_their_label_says(source, sessions, recordings, plan):
    for split in SPLITS:
        for video, session in zip(source.splits[split], sessions[split], strict=True):
            signal = watch.session_signal(session, recordings, plan.fade)
            assert video.duration == len(signal) / watch.SAMPLE_RATE
            actions = [stretch for stretch in session.stretches if stretch.exercise in watch.ACTIONS]
            for stretch, (start, end), label in zip(actions, video.segments, video.segment_labels, strict=True):
                assert 0 <= start < end <= video.duration
                assert watch.ACTIONS[stretch.exercise] == label
                first, last = round(start * watch.SAMPLE_RATE), round(end * watch.SAMPLE_RATE)
                recording = recordings[session.person, session.arm, stretch.exercise]
                assert last - first == stretch.length + 2 * plan.fade
                inside = slice(stretch.start + plan.fade, stretch.start + stretch.length - plan.fade)
                np.testing.assert_array_equal(signal[first + 2 * plan.fade : last - 2 * plan.fade], recording[inside])
            assert set(video.labels) == set(video.segment_labels)
            assert len(video.labels) == len(set(video.labels)) <= watch.ACTION_CLASSES[1]


def test_every_class_can_be_learned_and_tested(source):
    counts = {split: Counter(label for video in source.splits[split] for label in video.labels) for split in SPLITS}
    assert all(counts["train"][name] >= 2 and counts["test"][name] >= 1 for name in source.classes)


def test_features_are_as_i3d_ones_non_negative(source):
    for split in SPLITS:
        for video in source.splits[split]:
            features = video.read_features()
            assert features.dtype == np.float32
            assert features.shape == (int(video.duration * source.snippets_per_second), 96)
            assert np.isfinite(features).all()
            assert 0 <= features.min() <= features.max() <= watch.CLIP


def test_features_are_standardised_by_the_training_videos(source):
    features = np.concatenate([video.read_features() for video in source.splits["train"]])
    positive, negative = np.split(features, 2, axis=1)
    standardised = positive - negative
    whole = np.abs(standardised).max(axis=0) < watch.CLIP
    assert whole.sum() > 24
    np.testing.assert_allclose(standardised[:, whole].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standardised[:, whole].std(axis=0), 1, atol=1e-4)
    assert standardised.std(axis=0).max() < 1 + 1e-4  # clipping only takes away
    assert not ((positive > 0) & (negative > 0)).any()


def test_at_a_border_both_exercises_weigh_the_same_and_weights_add_up_to_one(recordings):
    stretches = watch.Stretch("PEN", 100, 200), watch.Stretch("ROW", 300, 150)
    pendulum, row = recordings[1, 0, "PEN"], recordings[1, 0, "ROW"]
    signal = watch.session_signal(watch.Session(1, 0, stretches), recordings, fade=20)
    weight = (np.arange(40) + 0.5)[:, None] / 40
    np.testing.assert_allclose(signal[180:220], (1 - weight) * pendulum[280:320] + weight * row[280:320])
    constant = {key: np.ones_like(signal) for key, signal in recordings.items()}
    flat = watch.session_signal(watch.Session(1, 0, stretches), constant, fade=20)
    np.testing.assert_allclose(flat[20:-20], 1)


@given(st.integers(watch.WINDOW, 500), st.sampled_from([25, 50]), st.integers(0, 2**32 - 1))
def test_a_snippet_depends_on_its_window_alone(length, hop, seed):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(length, 6))
    described = watch.describe(signal, hop)
    assert described.shape == (length // hop, 48)
    snippet = rng.integers(len(described))
    first = snippet * hop - (watch.WINDOW - hop) // 2
    window = signal[np.clip(np.arange(first, first + watch.WINDOW), 0, length - 1)]
    np.testing.assert_allclose(described[snippet, :6], window.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(described[snippet, 12:18], window.max(axis=0))
    np.testing.assert_allclose(described[snippet, 18:24], np.log(window.std(axis=0) + watch.LOG_FLOOR))


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 40)), min_size=1),
    st.integers(0, 30),
    st.integers(0, 5),
    st.integers(0, 9),
)
def test_cuts_keep_the_order_and_never_overlap(programme, spare, fade, seed):
    lengths = {name: spare + sum(length + 2 * fade for other, length in programme if other == name) for name in "AB"}
    stretches = watch.cut(programme, lengths, fade, np.random.default_rng(seed))
    assert [(stretch.exercise, stretch.length) for stretch in stretches] == programme
    for name in "AB":
        ends = [0]
        for stretch in sorted((s for s in stretches if s.exercise == name), key=lambda s: s.start):
            assert stretch.start - fade >= ends[-1]
            ends.append(stretch.start + stretch.length + fade)
        assert ends[-1] <= lengths[name]


def test_without_the_package_it_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"seglearn, which is not installed; expected it from requirements\.txt"):
        watch.read_recordings()


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"other recordings", "has sha256")])
def test_another_file_than_the_known_one_is_refused(tmp_path, monkeypatch, content, message):
    package = tmp_path / "seglearn"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    if content is not None:
        (package / "data" / "watch_dataset.npy").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=f"watch_dataset.npy: {message}"):
        watch.read_recordings()
