"""The diagnosis equals plain loops over predictions, and hand-made cases of each kind of error."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.evaluation.test_detection import segments
from tsc_jax.evaluation import diagnosis
from tsc_jax.evaluation.detection import average_precisions, mean_average_precision
from tsc_jax.localization.segments import make_segments

CLASSES, VIDEOS = 4, 3
THRESHOLDS = st.sampled_from([0.05, 0.25, 0.5, 1.0])


def rows(segments):
    columns = (segments.video, segments.label, segments.start, segments.end, segments.score)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def ranked(predictions):
    """Returns the indices of the predictions by falling score."""
    return sorted(range(len(predictions)), key=lambda i: -predictions[i][4])


def assigned(truth, predictions, threshold):
    """Returns the instance that each prediction takes in its turn, None if none is free."""
    taken = {}
    for i in ranked(predictions):
        video, label, start, end, _ = predictions[i]
        overlaps = [
            (oracles.tiou((start, end), row[2:4]), j) for j, row in enumerate(truth) if row[:2] == (video, label)
        ]
        free = [j for overlap, j in sorted(overlaps, reverse=True) if overlap >= threshold and j not in taken.values()]
        taken[i] = free[0] if free else None
    return [taken[i] for i in range(len(predictions))]


def expected_kind(prediction, instance, truth, threshold):
    """Follows the table in the docstring of `diagnosis.kinds` row by row."""
    video, label, start, end, _ = prediction
    own = [oracles.tiou((start, end), row[2:4]) for row in truth if row[0] == video and row[1] == label]
    other = [oracles.tiou((start, end), row[2:4]) for row in truth if row[0] == video and row[1] != label]
    if instance is not None:
        return "true positive"
    if max(own, default=0) >= threshold:
        return "double detection"
    if max(other, default=0) >= threshold:
        return "wrong label"
    if max(own, default=0) >= 0.1:
        return "localization error"
    return "confusion error" if max(other, default=0) >= 0.1 else "background error"


@given(segments(25), segments(50), THRESHOLDS)
def test_kinds_and_profile_equal_the_loops(ground_truth, predictions, threshold):
    truth, predicted = rows(ground_truth), rows(predictions)
    instances = assigned(truth, predicted, threshold)
    expected = [expected_kind(row, match, truth, threshold) for row, match in zip(predicted, instances, strict=True)]
    kinds = diagnosis.kinds(ground_truth, predictions, threshold, CLASSES)
    assert [diagnosis.KINDS[kind] for kind in kinds] == expected

    profile = np.zeros((10, 6), int)
    for label in range(CLASSES):
        size = sum(row[1] == label for row in truth)
        of_class = [i for i in ranked(predicted) if predicted[i][1] == label]
        for place, i in enumerate(of_class[: 10 * size]):
            profile[place // size, diagnosis.KINDS.index(expected[i])] += 1
    np.testing.assert_array_equal(diagnosis.error_profile(ground_truth, predictions, threshold, CLASSES), profile)


@given(segments(25), segments(50), THRESHOLDS)
def test_the_curves_enclose_the_average_precision(ground_truth, predictions, threshold):
    expected = average_precisions(ground_truth, predictions, [threshold], CLASSES)[0]
    curves = diagnosis.precision_recall(ground_truth, predictions, threshold, CLASSES)
    for label, curve in enumerate(curves):
        if curve is None:
            assert np.isnan(expected[label])
            continue
        recall, precision = curve
        assert (np.diff(precision) <= 0).all() and (recall <= 1).all()
        steps = np.diff(recall, prepend=0)
        np.testing.assert_allclose((steps * precision).sum(), expected[label], rtol=0, atol=1e-12)


@given(segments(25).filter(len), segments(50), THRESHOLDS)
def test_gains_are_what_is_lost_to_each_kind(ground_truth, predictions, threshold):
    gains = diagnosis.gains(ground_truth, predictions, threshold, CLASSES)
    assert (gains >= -1e-12).all()
    kinds = diagnosis.kinds(ground_truth, predictions, threshold, CLASSES)
    right = predictions[kinds == 0]
    np.testing.assert_array_equal(diagnosis.kinds(ground_truth, right, threshold, CLASSES), 0)
    assert (gains[np.setdiff1d(np.arange(1, 6), kinds) - 1] == 0).all()
    assert gains[-1] >= gains.max()
    only = mean_average_precision(ground_truth, predictions, [threshold], CLASSES)[0]
    for error in np.unique(kinds[kinds > 0]):
        rest = mean_average_precision(ground_truth, predictions[kinds != error], [threshold], CLASSES)[0]
        assert gains[error - 1] == rest - only
    recall = [
        curve[0].size for curve in diagnosis.precision_recall(ground_truth, predictions, threshold, CLASSES) if curve
    ]
    truths = np.bincount(ground_truth.label, minlength=CLASSES)
    assert gains[-1] + only == pytest.approx(np.mean(np.array(recall) / truths[truths > 0]))


@given(segments(25).filter(len), segments(50), THRESHOLDS)
def test_lengths_equal_the_loops(ground_truth, predictions, threshold):
    truth, predicted = rows(ground_truth), rows(predictions)
    instances = assigned(truth, predicted, threshold)
    result = diagnosis.by_length(ground_truth, predictions, threshold, CLASSES)
    lower = [-1, *result.upper[:4]]
    upper = [*result.upper[:4], np.inf]
    for number in range(5):

        def inside(row, number=number):
            return lower[number] < row[3] - row[2] <= upper[number]

        members = {i for i, row in enumerate(truth) if inside(row)}
        assert result.instances[number] == len(members)
        assert result.missed[number] == len(members - set(instances))
        if not members:
            assert np.isnan(result.mean_ap[number])
            continue
        kept = [
            i for i, row in enumerate(predicted) if (inside(row) if instances[i] is None else instances[i] in members)
        ]
        averages = []
        for label in {truth[i][1] for i in members}:
            hits = [instances[i] is not None for i in ranked(predicted) if i in kept and predicted[i][1] == label]
            precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
            total = sum(truth[i][1] == label for i in members)
            averages.append(sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / total)
        assert result.mean_ap[number] == pytest.approx(np.mean(averages), abs=1e-12)
    assert result.instances.sum() == len(truth)


@given(segments(25), segments(50), THRESHOLDS)
def test_false_negatives_equal_the_loops(ground_truth, predictions, threshold):
    truth, found = rows(ground_truth), set(assigned(rows(ground_truth), rows(predictions), threshold))
    durations = np.array([20.0, 25.0, 50.0])
    shares = diagnosis.coverage(ground_truth, durations)
    groups = {"coverage": {"a": 0.1, "b": 0.2, "c": np.inf}, "instances per video": {"one": 1, "few": 3, "many": 5}}
    counts = diagnosis.false_negatives(ground_truth, predictions, threshold, CLASSES, shares, groups)
    assert list(counts) == list(groups)
    value = {
        "coverage": lambda row: (row[3] - row[2]) / durations[row[0]],
        "instances per video": lambda row: sum(row[:2] == other[:2] for other in truth),
    }
    for name, of in counts.items():
        assert of.names == tuple(groups[name])
        lower = -1
        for number, upper in enumerate([*list(groups[name].values())[:-1], np.inf]):
            members = {i for i, row in enumerate(truth) if lower < value[name](row) <= upper}
            assert (of.instances[number], of.missed[number]) == (len(members), len(members - found))
            lower = upper
    without = diagnosis.false_negatives(ground_truth, predictions, threshold, CLASSES, None)
    assert list(without) == ["instances per video"] and without["instances per video"].instances.sum() == len(truth)


def test_a_share_on_the_bound_belongs_to_the_group_below_whatever_the_rounding():
    starts = np.arange(10) / 10
    instances = make_segments(0, np.arange(10), starts, starts + 0.2)
    shares = diagnosis.coverage(instances, np.array([1.0]))
    assert (shares > 0.2).any()  # by an error of rounding
    counts = diagnosis.false_negatives(instances, instances[:4], 0.5, 10, shares)
    assert counts["coverage"].instances.tolist() == [10, 0, 0, 0, 0]
    assert counts["coverage"].missed.tolist() == [6, 0, 0, 0, 0]


def test_fifths_of_distinct_lengths_and_one_length_alone():
    distinct = make_segments(0, 0, np.zeros(20), np.arange(1, 21))
    result = diagnosis.by_length(distinct, distinct[:8], 1.0, 1)
    np.testing.assert_array_equal(result.instances, 4)
    np.testing.assert_array_equal(result.upper, [4, 8, 12, 16, 20])
    np.testing.assert_array_equal(result.missed, [0, 0, 4, 4, 4])
    np.testing.assert_array_equal(result.mean_ap, [1, 1, 0, 0, 0])

    equal = make_segments(0, 0, np.arange(9) * 10, np.arange(9) * 10 + 0.3)  # the same lengths but for rounding
    predictions = make_segments(0, 0, [0, 20, 15], [0.3, 20.3, 15.3], [1, 3, 2])
    result = diagnosis.by_length(equal, predictions, 0.9, 1)
    np.testing.assert_array_equal(result.instances, [9, 0, 0, 0, 0])
    assert result.mean_ap[0] == mean_average_precision(equal, predictions, [0.9], 1)[0]


@given(segments(25), segments(50), THRESHOLDS)
def test_videos_are_scored_each_by_itself(ground_truth, predictions, threshold):
    precisions = diagnosis.video_precisions(ground_truth, predictions, threshold, CLASSES, VIDEOS)
    for video in range(VIDEOS):
        truth, predicted = (rows(each[each.video == video]) for each in (ground_truth, predictions))
        if not truth:
            assert np.isnan(precisions[video])
            continue
        taken = assigned(truth, predicted, threshold)
        hits = [taken[i] is not None for i in ranked(predicted)]
        precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
        expected = sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / len(truth)
        assert precisions[video] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("label", "start", "end", "kind"),
    [
        (0, 10, 20, "double detection"),  # the same place as the first, with less score
        (0, 10, 15, "double detection"),  # tIoU of exactly the threshold
        (1, 10, 20, "wrong label"),
        (1, 10, 15, "wrong label"),
        (0, 10, 14, "localization error"),
        (0, 10, 11, "localization error"),  # tIoU of exactly 0.1
        (1, 10, 14, "confusion error"),
        (1, 10, 11, "confusion error"),
        (0, 10, 10.9, "background error"),
        (0, 40, 50, "background error"),
        (0, 19.5, 30, "wrong label"),  # touches its own class, is in the place of the other
        (0, 16, 26, "localization error"),  # 0.25 with its own class, 3/7 with the other
    ],
)
def test_each_kind_of_error(label, start, end, kind):
    """Instances: class 0 from 10 to 20, class 1 (and then class 0's neighbour) from 20 to 30."""
    ground_truth = make_segments(0, [0, 1], [10, 20], [20, 30])
    predictions = make_segments([0, 0], [0, label], [10, start], [20, end], [2, 1])
    kinds = diagnosis.kinds(ground_truth, predictions, 0.5, 2)
    assert [diagnosis.KINDS[each] for each in kinds] == ["true positive", kind]
    elsewhere = dataclasses.replace(predictions, video=np.array([0, 1]))
    assert diagnosis.KINDS[diagnosis.kinds(ground_truth, elsewhere, 0.5, 2)[1]] == "background error"


def test_mistaken_counts_wrong_labels_of_high_score():
    ground_truth = make_segments(0, [0, 1, 1], [0, 10, 20], [10, 20, 30])
    predictions = make_segments(0, [0, 0, 1, 1, 1], [10, 0, 0, 10, 0], [20, 10, 9, 20, 10], [5, 4, 3, 2, 1])
    counts = diagnosis.mistaken(ground_truth, predictions, 0.5, 2)
    np.testing.assert_array_equal(counts, [[0, 1], [1, 0]])


def test_no_predictions_at_all():
    ground_truth, none = make_segments([0, 1], [0, 1], [0, 0], [4, 8]), make_segments([], [], [], [])
    assert diagnosis.error_profile(ground_truth, none, 0.5, 3).sum() == 0
    assert diagnosis.gains(ground_truth, none, 0.5, 3).tolist() == [0] * 6
    assert diagnosis.by_length(ground_truth, none, 0.5, 3).missed.sum() == 2
    assert diagnosis.mistaken(ground_truth, none, 0.5, 3).sum() == 0
    assert [
        None if curve is None else curve[0].size for curve in diagnosis.precision_recall(ground_truth, none, 0.5, 3)
    ] == [0, 0, None]
    np.testing.assert_array_equal(diagnosis.video_precisions(ground_truth, none, 0.5, 3, 3), [0, 0, np.nan])
