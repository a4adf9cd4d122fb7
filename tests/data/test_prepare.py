"""Preparing keeps every bit of the source; an invalid source leaves no files behind."""

import dataclasses
import functools
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.data.layouts import CLASSES, make_examples, write_joint, write_per_video
from tests.data.small import make_source, prepared
from tsc_jax.data.builder import config_of, prepare, prepared_folder
from tsc_jax.data.checks import MAX_NAME_BYTES, rate_fits
from tsc_jax.data.dataset import Split, open_dataset
from tsc_jax.data.joint import read_joint
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.errors import InputError


def change(source: Source, split: str, index: int, **changes) -> Source:
    """`source` with some of a video's fields replaced."""
    videos = list(source.splits[split])
    videos[index] = dataclasses.replace(videos[index], **changes)
    return dataclasses.replace(source, splits={**source.splits, split: tuple(videos)})


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_holds(split: Split, videos: tuple[SourceVideo, ...], classes: tuple[str, ...], rate: float) -> None:
    videos = sorted(videos, key=lambda video: video.name)
    assert [video.name for video in split.videos] == [video.name for video in videos]
    for index, (ours, theirs) in enumerate(zip(split.videos, videos, strict=True)):
        features = theirs.read_features()
        assert ours.num_snippets == len(features)
        assert ours.duration == (len(features) / rate if theirs.duration is None else theirs.duration)
        assert {classes[label] for label in np.flatnonzero(ours.labels)} == set(theirs.labels)
        assert ours.segments.dtype == np.float64 and ours.segment_labels.dtype == np.int64
        np.testing.assert_array_equal(ours.segments, np.array(theirs.segments).reshape(-1, 2))
        assert [classes[label] for label in ours.segment_labels] == list(theirs.segment_labels)
        assert split.features(index).dtype == np.float32
        np.testing.assert_array_equal(split.features(index), features)


def test_a_prepared_data_set_is_its_source(small):
    source = make_source()
    assert (small.name, small.classes, small.snippets_per_second, small.width) == ("small", CLASSES, 2.0, 6)
    for split, ours in {"train": small.train, "test": small.test}.items():
        assert_holds(ours, source.splits[split], CLASSES, 2.0)
    assert small.train.videos[2].labels.tolist() == [True, True] and small.train.videos[0].labels.dtype == bool


TIMES = st.floats(0, 1e4)
NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=5, max_size=5, unique=True)


@settings(max_examples=8, deadline=None)
@given(st.data(), NAMES, st.sampled_from([4.0, 25 / 16, 1 / 3]))
def test_any_names_times_and_lengths_survive(tmp_path_factory, data, names, rate):
    def video(name: str) -> SourceVideo:
        labels = tuple(data.draw(st.lists(st.sampled_from(("b", "a", "é")), max_size=4)))
        segments = tuple(tuple(sorted(data.draw(st.tuples(TIMES, TIMES)))) for _ in labels)
        length = data.draw(st.integers(1, 5))
        features = np.array(data.draw(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False),
                                               min_size=length, max_size=length)), np.float32)[:, None]  # fmt: skip
        duration = data.draw(st.one_of(st.none(), st.floats(1e-3, 1e5)))
        return SourceVideo(name, duration, ("b",), segments, labels, lambda: features)

    videos = tuple(video(name) for name in names)
    source = Source(("é", "b", "a"), rate, {"train": videos[:3], "test": videos[3:]})
    dataset = prepared(source, tmp_path_factory.mktemp("any"))
    assert_holds(dataset.train, videos[:3], source.classes, rate)
    assert_holds(dataset.test, videos[3:], source.classes, rate)


def test_the_recorded_gestures_have_their_counts(shared, tmp_path):
    folder = shared / "real" / "gestures"
    readers = {"joint": read_joint, "per_video": read_per_video}
    datasets = []
    for layout, read in readers.items():
        assert prepare(functools.partial(read, folder / layout), layout, tmp_path)
        datasets.append(open_dataset(tmp_path, layout))
    for dataset in datasets:
        for split, expected in ((dataset.train, (204, 9736, 372)), (dataset.test, (98, 4776, 200))):
            snippets = sum(video.num_snippets for video in split.videos)
            assert (len(split.videos), snippets, sum(len(video.segments) for video in split.videos)) == expected
        assert (dataset.width, len(dataset.classes)) == (240, 11)
    for index in range(98):
        np.testing.assert_array_equal(*(dataset.test.features(index) for dataset in datasets))


# Fingerprints and bytes.


def test_the_same_source_gives_the_same_bytes(small, tmp_path):
    source = make_source()
    turned = {split: videos[::-1] for split, videos in source.splits.items()}
    again = prepared(dataclasses.replace(source, splits=turned), tmp_path / "a")
    assert again.fingerprint == small.fingerprint
    prepared(source, tmp_path / "b")
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b")


def test_fingerprints_do_not_depend_on_the_layout(tmp_path):
    examples = make_examples()
    write_per_video(tmp_path / "per_video", examples, meta={"snippets_per_second": 25 / 16, "classes": CLASSES})
    one = prepared(read_per_video(tmp_path / "per_video"), tmp_path / "one")
    other = prepared(read_joint(write_joint(tmp_path / "joint", examples)), tmp_path / "other")
    assert one.fingerprint == other.fingerprint


CHANGES: dict[str, Callable[[Source, str], Source]] = {
    "features": lambda source, split: change(source, split, 0, read_features=lambda: np.ones((3, 6), np.float32)),
    "segments": lambda source, split: change(source, split, 1, segments=((0.0, 2.0**-30),)),
    "labels": lambda source, split: change(source, split, 1, labels=CLASSES),
    "name": lambda source, split: change(source, split, 0, name="a"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_every_change_shows_in_the_fingerprint(small, tmp_path, changed):
    source = make_source()
    train = prepared(CHANGES[changed](source, "train"), tmp_path / "train")
    test = prepared(CHANGES[changed](source, "test"), tmp_path / "test")
    assert len({small.fingerprint, train.fingerprint, test.fingerprint}) == 3


def test_preparing_holds_the_features_of_few_videos_at_a_time(tmp_path):
    living, most = weakref.WeakValueDictionary(), 0

    def read(number: int) -> np.ndarray:
        nonlocal most
        features = np.full((4, 6), number, np.float32)
        most = max(most, len(living))
        living[number] = features
        return features

    video = make_source().splits["train"][0]
    many = [
        dataclasses.replace(video, name=f"{number:03}", read_features=functools.partial(read, number))
        for number in range(50)
    ]
    source = with_split("test", lambda videos: many)(make_source())
    assert len(prepared(source, tmp_path).test.videos) == 50
    assert most <= 3


# Names and rates.


def named(name: str) -> Source:
    return change(make_source(), "test", 0, name=name)


@pytest.mark.parametrize("name", ["n" * MAX_NAME_BYTES, "folder/" + "é" * 122])
def test_a_name_of_251_bytes_is_prepared(tmp_path, name):
    assert len(name.encode()) == MAX_NAME_BYTES == 251
    assert name in {video.name for video in prepared(named(name), tmp_path).test.videos}


def test_a_class_may_have_a_single_training_video(tmp_path):
    source = make_source()
    alone = dataclasses.replace(source, splits={**source.splits, "train": source.splits["train"][:2]})
    dataset = prepared(alone, tmp_path)
    assert sum(video.labels[CLASSES.index("Run")] for video in dataset.train.videos) == 1


@given(st.floats(0.1, 1e4), st.floats(0.1, 100), st.integers(1, 10**6))
def test_a_rate_fits_within_two_snippets_or_five_percent(duration, rate, num_snippets):
    expected = duration * rate
    slack = 0.05 * expected if expected > 40 else 2
    distance = abs(num_snippets - expected)
    assume(abs(distance - slack) > 1e-6 * expected)  # rounding decides on the boundary
    assert rate_fits(num_snippets, duration, rate) == (distance < slack)


# Published data sets.


@pytest.mark.parametrize(("name", "number"), [("thumos14", 20), ("activitynet12", 100), ("activitynet13", 200)])
def test_published_data_sets_are_known(name, number):
    known = config_of(name)
    assert len(set(known.classes)) == number and known.snippets_per_second == 25 / 16
    assert known.subsets == (("validation", "test") if name == "thumos14" else ("training", "validation"))


def test_published_class_lists_are_those_of_the_annotations(shared):
    from tsc_jax.data.annotations import read_classes, read_json

    folder = shared / "annotations"
    assert config_of("thumos14").classes == read_classes(folder / "Thumos14reduced-Annotations/classlist.npy")
    assert config_of("activitynet12").classes == read_classes(folder / "ActivityNet1.2-Annotations/classlist.npy")
    labels = {label for video in read_json(folder / "activitynet13_gt.json") for label in video.labels}
    assert config_of("activitynet13").classes == tuple(sorted(labels))


def test_a_published_name_brings_classes_and_where_unknown_the_rate(tmp_path):
    classes = config_of("thumos14").classes

    def renamed(video: SourceVideo) -> SourceVideo:
        rename = {"Jump": "HighJump", "Run": "LongJump"}
        labels = {
            field: tuple(rename[label] for label in getattr(video, field)) for field in ("labels", "segment_labels")
        }
        return dataclasses.replace(video, **labels)

    splits = {split: tuple(renamed(video) for video in videos) for split, videos in make_source().splits.items()}
    dataset = prepared(Source(("LongJump", "HighJump"), None, splits), tmp_path, "thumos14")
    assert (dataset.classes, dataset.snippets_per_second) == (classes, 25 / 16)
    assert_holds(dataset.train, splits["train"], classes, 25 / 16)
    slower = prepared(Source((), 4.0, splits), tmp_path / "slower", "thumos14")
    assert slower.snippets_per_second == 4.0


# Errors.


def with_split(split: str, videos: Callable[[tuple], tuple]) -> Callable[[Source], Source]:
    return lambda source: dataclasses.replace(source, splits={**source.splits, split: videos(source.splits[split])})


BAD_SOURCES: dict[str, Callable[[Source], Source]] = {
    "test subset: holds no test videos, expected at least one": with_split("test", lambda videos: ()),
    'train subset: video "v3" occurs 2 times': with_split("train", lambda videos: (*videos, videos[0])),
    'test subset: video "v3" is also in train subset': lambda source: with_split(
        "test", lambda videos: (*videos, source.splits["train"][0])
    )(source),
    "its name has 252 bytes in UTF-8, expected at most 251": lambda source: change(source, "test", 0, name="n" * 252),
    r'video "é{40}\.\.\.": its name has 254 bytes': lambda source: change(source, "train", 0, name="é" * 127),
    "train subset: no training video has a label": with_split(
        "train", lambda videos: tuple(dataclasses.replace(video, labels=()) for video in videos)
    ),
    'video "w2": label "Swim" is not among the 2 classes of the class list': lambda source: change(
        source, "test", 0, labels=("Swim",)
    ),
    'video "w1": label "Fly" is not among': lambda source: change(source, "test", 1, segment_labels=("Fly",)),
    'class "Run" occurs 2 times': lambda source: dataclasses.replace(source, classes=("Run", "Jump", "Run")),
    "no classes": lambda source: dataclasses.replace(source, classes=()),
    "no file gives the number of snippets per second": lambda source: dataclasses.replace(
        source, snippets_per_second=None
    ),
    "is -1, expected a positive number": lambda source: dataclasses.replace(source, snippets_per_second=-1),
    # These errors occur while records are written.
    'video "v3": features have width 5, others have 6': lambda source: change(
        source, "train", 0, read_features=lambda: np.ones((3, 5))
    ),
    'video "w2": snippet 1 has features that are NaN': lambda source: change(
        source, "test", 0, read_features=lambda: np.array([[0.0] * 6, [np.nan] * 6])
    ),
    'video "w2": .* the video is empty': lambda source: change(
        source, "test", 0, read_features=lambda: np.zeros((0, 6))
    ),
}


@pytest.mark.parametrize("sentence", BAD_SOURCES)
def test_a_bad_source_is_an_input_error_and_leaves_nothing(tmp_path, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        prepare(lambda: BAD_SOURCES[sentence](make_source()), "small", tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [InputError("spoilt"), KeyboardInterrupt()], ids=["input error", "Ctrl-C"])
def test_what_is_there_stays_until_its_successor_is_complete(tmp_path, fault):
    def fail() -> np.ndarray:
        raise fault

    before = prepared(make_source(), tmp_path)
    files = files_in(tmp_path)
    with pytest.raises(type(fault)):
        prepare(lambda: change(make_source(), "test", 1, read_features=fail), "small", tmp_path, overwrite=True)
    assert files_in(tmp_path) == files
    assert not prepare(pytest.fail, "small", tmp_path)  # the source is not even read
    after = change(make_source(), "test", 1, duration=99.0)
    assert prepare(lambda: after, "small", tmp_path, overwrite=True)
    assert open_dataset(tmp_path, "small").test.videos[0].duration == 99.0
    assert files_in(tmp_path).keys() == files.keys()
    assert before.test.features(0).shape == after.splits["test"][1].read_features().shape


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "é"])
def test_a_name_must_be_one(tmp_path, name):
    with pytest.raises(InputError, match="is not a name"):
        prepared_folder(tmp_path, name)
