"""Detection mAP equals the recorded values and a plain loop over predictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tsc_jax.errors import InputError
from tsc_jax.evaluation.detection import average_precisions, mean_average_precision
from tsc_jax.localization.segments import make_segments

NONE = make_segments([], [], [], [])


def test_recorded_map(shared):
    golden = np.load(shared / "golden" / "detection_map.npz")
    _, videos = np.unique(np.concatenate([golden["gt_video"], golden["pred_video"]]), return_inverse=True)
    truth_videos, videos = np.split(videos, [len(golden["gt_video"])])
    ground_truth = make_segments(truth_videos, golden["gt_label"], golden["gt_start"], golden["gt_end"])
    predictions = make_segments(videos, *(golden[f"pred_{column}"] for column in ("label", "start", "end", "score")))
    assert (ground_truth.start == ground_truth.end).sum() == 17
    precisions = average_precisions(ground_truth, predictions, golden["tiou"], 20)
    np.testing.assert_allclose(precisions, golden["ap"], rtol=0, atol=1e-9)
    mean_ap = mean_average_precision(ground_truth, predictions, golden["tiou"], 20)
    np.testing.assert_allclose(mean_ap, golden["mAP"], rtol=0, atol=1e-9)


@st.composite
def segments(draw, most):
    """Segments with small integers: many equal tIoUs, equal scores, duplicates and zero lengths."""
    count = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start, length = rng.integers(0, 12, count), rng.integers(0, 8, count)
    return make_segments(
        rng.integers(0, 3, count), rng.integers(0, 3, count), start, start + length, rng.integers(0, 6, count)
    )


@settings(max_examples=300, deadline=None)
@given(segments(25), segments(50))
def test_equals_the_loops(ground_truth, predictions):
    tious = [0.1, 0.25, 0.5, 1.0]
    precisions = average_precisions(ground_truth, predictions, tious, 4)
    for label in range(4):
        truth, predicted = (each[each.label == label] for each in (ground_truth, predictions))
        if not len(truth):
            assert np.isnan(precisions[:, label]).all()
            continue
        truth_rows = list(zip(truth.video, truth.start, truth.end, strict=True))
        rows = list(zip(predicted.video, predicted.start, predicted.end, predicted.score, strict=True))
        expected = [oracles.average_precision(truth_rows, rows, threshold) for threshold in tious]
        np.testing.assert_allclose(precisions[:, label], expected, rtol=0, atol=1e-12)


def test_of_equal_overlaps_the_later_segment_is_taken():
    """The second prediction fits only the first segment, which must still be free."""
    ground_truth = make_segments(0, 0, [0, 4], [4, 8])
    predictions = make_segments(0, 0, [2, 0], [6, 4], [2.0, 1.0])
    assert average_precisions(ground_truth, predictions, [0.3], 1) == 1.0
    assert average_precisions(ground_truth[::-1], predictions, [0.3], 1) == 0.5


def test_perfect_and_empty_predictions():
    ground_truth = make_segments([0, 0, 1], [0, 2, 2], [0, 5, 1], [3, 9, 2])
    np.testing.assert_array_equal(average_precisions(ground_truth, ground_truth, [1.0], 3), [[1, np.nan, 1]])
    np.testing.assert_array_equal(average_precisions(ground_truth, NONE, [0.5], 3), [[0, np.nan, 0]])
    np.testing.assert_array_equal(mean_average_precision(ground_truth, ground_truth, [0.5, 1.0], 3), [1, 1])
    with pytest.raises(InputError, match="ground truth"):
        mean_average_precision(NONE, ground_truth, [0.5], 3)
