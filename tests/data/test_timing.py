"""Rates and offsets of single videos: from files and flags, through the prepared data set, to seconds."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.layouts import make_examples, write_joint, write_per_video
from tests.data.small import make_source, prepared
from tsc_jax.data.builder import prepared_folder
from tsc_jax.data.checks import check_source
from tsc_jax.data.clock import Clock
from tsc_jax.data.dataset import open_dataset
from tsc_jax.data.joint import read_joint
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.data.timing import Timing
from tsc_jax.errors import InputError
from tsc_jax.localization.segments import make_segments

NAMES = [each.name for each in make_examples()]


def clocks(source: Source) -> dict[str, tuple]:
    return {
        video.name: (video.snippets_per_second or source.snippets_per_second, video.offset)
        for split in SPLITS
        for video in source.splits[split]
    }


FORMS = {
    "one rate": ({"snippets_per_second": 2}, {}, (2, 0)),
    "an offset": ({"snippets_per_second": 2, "offset_seconds": 0.5}, {}, (2, 0.5)),
    "rates by video": ({"snippets_per_second": dict.fromkeys(NAMES, 2) | {"v1": 3}}, {"v1": (3, 0)}, (2, 0)),
    "offsets by video": ({"snippets_per_second": 2, "offset_seconds": {"v1": 1}}, {"v1": (2, 1)}, (2, 0)),
    "frames": ({"feat_stride": 16, "fps": 25}, {}, (25 / 16, 0)),
    "frames of windows that overlap": ({"feat_stride": 4, "num_frames": 16, "fps": 30}, {}, (7.5, 0.2)),
    "frames by video": ({"feat_stride": 5, "fps": dict.fromkeys(NAMES, 25) | {"w1": 10}}, {"w1": (2, 0)}, (5, 0)),
    "frames and an offset": ({"feat_stride": 4, "num_frames": 16, "fps": 30, "offset_seconds": 1}, {}, (7.5, 1)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by", ["meta.json", "flags"])
def test_rates_and_offsets_are_those_of_meta_json_or_of_flags(tmp_path, form, by):
    values, own, others = FORMS[form]
    folder = write_per_video(
        tmp_path, make_examples(), meta=values if by == "meta.json" else {"feat_stride": 9, "fps": 1}
    )
    options = Options(timing=Timing(**values)) if by == "flags" else Options()
    assert clocks(read_per_video(folder, options)) == dict.fromkeys(NAMES, others) | own
    joint = write_joint(tmp_path / "joint", make_examples())
    if by == "meta.json":
        (joint / "meta.json").write_text(json.dumps(values))
    assert clocks(read_joint(joint, options)) == dict.fromkeys(NAMES, others) | own


BAD = {
    "snippets_per_second has no value for it": {"snippets_per_second": {"v1": 2}},
    'video "v3": its frames per second are unknown, give --fps': {"feat_stride": 4},
    "num_frames is given without feat_stride": {"snippets_per_second": 2, "num_frames": 16},
    "feat_stride and snippets_per_second are given": {"snippets_per_second": 2, "feat_stride": 4},
    "snippets_per_second is '2', expected a positive number": {"snippets_per_second": {"v1": "2"}},
    "feat_stride is .*v1.*, expected a positive number": {"feat_stride": {"v1": 4}},
    "snippets_per_second is 'duration', expected a positive number": {"snippets_per_second": {"v1": "duration"}},
    "fps is 0, expected a positive number": {"feat_stride": 4, "fps": {"v1": 0}},
    "offset_seconds is None|offset_seconds is nan": {"snippets_per_second": 2, "offset_seconds": float("nan")},
}


@pytest.mark.parametrize("sentence", BAD)
def test_rates_that_cannot_be_are_named(tmp_path, sentence):
    with pytest.raises(InputError, match=sentence):
        read_per_video(write_per_video(tmp_path, make_examples(), meta=BAD[sentence]))


def test_a_rate_from_durations_needs_them():
    source = dataclasses.replace(make_source(), snippets_per_second="duration")
    check_source(source)
    first, *others = source.splits["test"]
    spoilt = {**source.splits, "test": (dataclasses.replace(first, duration=None), *others)}
    with pytest.raises(InputError, match='video "w2": has no duration'):
        check_source(dataclasses.replace(source, splits=spoilt))


def with_clocks(source: Source, **by_video) -> Source:
    """The source with other (rate, offset) of some videos."""
    splits = {
        split: tuple(
            dataclasses.replace(
                video, **dict(zip(("snippets_per_second", "offset"), by_video[video.name], strict=True))
            )
            if video.name in by_video
            else video
            for video in videos
        )
        for split, videos in source.splits.items()
    }
    return dataclasses.replace(source, splits=splits)


def test_a_prepared_data_set_keeps_the_clock_of_every_video(tmp_path):
    own = {"v1": (3.0, 0.25), "w2": (1 / 3, 0.0)}
    dataset = prepared(with_clocks(make_source(), **own), tmp_path)
    found = {video.name: tuple(video.clock) for split in SPLITS for video in getattr(dataset, split).videos}
    assert found == dict.fromkeys(NAMES, (2.0, 0.0)) | own
    assert dataset.snippets_per_second is None and dataset.offset_snippets == 0
    plain = prepared(make_source(), tmp_path / "plain")
    assert plain.snippets_per_second == 2.0 and plain.fingerprint != dataset.fingerprint
    moved = prepared(with_clocks(make_source(), **dict.fromkeys(NAMES, (2.0, 0.5))), tmp_path / "moved")
    assert (moved.snippets_per_second, moved.offset_snippets) == (2.0, 1.0)
    assert len({plain.fingerprint, moved.fingerprint, dataset.fingerprint}) == 3


def test_snippets_of_one_number_share_the_duration_of_each_video(tmp_path):
    source = make_source()
    splits = {
        split: tuple(
            dataclasses.replace(video, duration=2.0 + place, read_features=lambda: np.ones((4, 6), np.float32))
            for place, video in enumerate(videos)
        )
        for split, videos in source.splits.items()
    }
    dataset = prepared(dataclasses.replace(source, splits=splits, snippets_per_second="duration"), tmp_path)
    for video in (*dataset.train.videos, *dataset.test.videos):
        assert video.clock.seconds(4.0) == pytest.approx(video.duration) and video.rate_fits


def test_data_sets_of_earlier_versions_have_one_rate(tmp_path):
    before = prepared(make_source(), tmp_path)
    file = prepared_folder(tmp_path, "small") / "features.json"
    content = json.loads(file.read_text())
    for name in ("snippets_per_second", "offset"):
        del content["featuresDict"]["features"][name]
    file.write_text(json.dumps(content))
    after = open_dataset(tmp_path, "small")
    assert [tuple(video.clock) for video in after.test.videos] == [(2.0, 0.0)] * 2
    np.testing.assert_array_equal(after.test.features(1), before.test.features(1))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(-10, 10)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e4), st.floats(0, 1e3)), max_size=8),
)
def test_segments_go_to_seconds_and_back_by_the_clock_of_their_video(clocks, rows):
    rows = [(video % len(clocks), start, start + length) for video, start, length in rows]
    video, start, end = np.reshape(rows, (-1, 3)).T
    segments, clock = make_segments(video, 0, start, end), Clock(*np.array(clocks).T)
    there = segments.in_seconds(clock)
    for row, (index, first, last) in enumerate(rows):
        rate, offset = clocks[index]
        assert there.start[row] == pytest.approx(offset + first / rate)
        assert there.end[row] == pytest.approx(offset + last / rate)
    back = there.in_snippets(clock)
    np.testing.assert_allclose(back.start, segments.start, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(back.end, segments.end, rtol=1e-6, atol=1e-6)
