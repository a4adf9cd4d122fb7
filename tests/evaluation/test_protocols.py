"""Units, thresholds and the floor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.errors import InputError
from tsc_jax.evaluation.protocols import floor_predictions, parse_tious, to_protocol
from tsc_jax.localization.segments import make_segments

times = st.lists(st.floats(0, 5000), min_size=1)


@given(times)
def test_published_ground_truth_is_rounded_as_python_rounds(seconds):
    segments = make_segments(0, 0, seconds, seconds)
    rounded, _ = to_protocol(segments, segments, 25 / 16, "published")
    np.testing.assert_array_equal(rounded.start, [round(second * 25 / 16) for second in seconds])


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from([25 / 16, 30 / 16, 4.0, 0.3, 29.97 / 8]))
def test_snippets_come_back_from_seconds_exactly(snippets, rate):
    """A results file in seconds must not move a tIoU off its threshold."""
    in_seconds = make_segments(0, 0, snippets, snippets).scaled(1 / rate)
    _, restored = to_protocol(in_seconds, in_seconds, rate, "published")
    np.testing.assert_array_equal(restored.start, snippets)


def test_predictions_between_snippets_are_not_rounded():
    segments = make_segments(0, 0, [1.0], [2.5])
    _, between = to_protocol(segments, segments, 0.5, "published")
    np.testing.assert_array_equal([between.start, between.end], [[0.5], [1.25]])


def test_seconds_stay_as_they_are():
    truth, predictions = make_segments(0, 0, [1.1], [2.7]), make_segments(0, 0, [1.3], [2.9])
    assert to_protocol(truth, predictions, 25 / 16, "seconds") == (truth, predictions)


def test_floor_has_one_segment_per_true_class():
    ground_truth = make_segments([1, 0, 1, 1], [2, 0, 2, 1], [0, 1, 2, 3], [1, 2, 3, 4])
    floor = floor_predictions(ground_truth, np.array([10.0, 20.0]))
    rows = np.stack([floor.video, floor.label, floor.start, floor.end, floor.score], axis=1)
    np.testing.assert_array_equal(rows, [[0, 0, 0, 10, 1], [1, 1, 0, 20, 1], [1, 2, 0, 20, 1]])


def test_thresholds_read_as_typed():
    assert parse_tious("0.1:0.9:0.1") == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert parse_tious("0.5:0.95:0.05") == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert parse_tious("0.1:0.5:0.3") == [0.1, 0.4]
    assert parse_tious("0.3,0.5") == [0.3, 0.5]
    assert parse_tious("0.5") == [0.5]


WRONG = [
    "",
    "a",
    "0.1:0.9",
    "0.5:0.05:0.95",
    "0.1:0.1:0.7",
    "0:0.5:0.1",
    "0.5,1.1",
    "nan",
    "0.1:nan:0.1",
    "0.1:0.9:-0.1",
]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_thresholds_are_refused(text):
    with pytest.raises(InputError, match="START:STOP:STEP"):
        parse_tious(text)
