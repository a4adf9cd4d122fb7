"""Headroom: each oracle repairs the error that was made, and no other; the quality of pseudo labels by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.localization.made_up import segments
from tsc_jax.errors import InputError
from tsc_jax.evaluation.headroom import MISSING, STEPS, headroom, label_quality, oracles, pseudo_labels
from tsc_jax.localization.segments import concatenate, make_segments

TIOUS = (0.3, 0.5, 0.7)
TRUTH = make_segments([0, 0, 1], [0, 1, 0], [0, 20, 5], [10, 30, 15])


def with_errors(*rows):
    """The perfect predictions, of score 0.5, and rows (video, label, start, end, score) before them."""
    perfect = make_segments(TRUTH.video, TRUTH.label, TRUTH.start, TRUTH.end, np.full(3, 0.5))
    return concatenate([make_segments(*np.transpose(rows)), perfect])


def lost(predictions, tious=TIOUS):
    return headroom(TRUTH, predictions, tious, 3).lost


def test_perfect_predictions_lose_nothing():
    result = headroom(TRUTH, TRUTH, TIOUS, 3)
    np.testing.assert_array_equal(result.mean_ap, np.ones(3))
    np.testing.assert_array_equal(list(result.lost.values()), np.zeros((5, 3)))
    assert list(result.lost) == [*STEPS, MISSING]


ERRORS = {
    # A confident prediction in the wrong place: only the order is wrong.
    "ranking": ((0, 0, 40, 50, 0.9), {"ranking"}),
    # Of a class that the video does not show.
    "video classes": ((1, 1, 40, 50, 0.9), {"ranking", "video classes"}),
    # The class of the other instance of this video.
    "segment classes": ((0, 1, 2, 8, 0.9), {"ranking", "segment classes"}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_the_step_that_erred_loses_and_the_others_do_not(name):
    row, losing = ERRORS[name]
    losses = lost(with_errors(row))
    assert {step for step, loss in losses.items() if loss.mean() > 0.01} == losing
    if name != "segment classes":  # a prediction of the right class may still have the wrong boundaries
        np.testing.assert_allclose(losses[name], losses["ranking"])


def test_inexact_boundaries_are_lost_by_boundaries_alone_and_what_nothing_overlaps_is_missing():
    inexact = make_segments(TRUTH.video[:2], TRUTH.label[:2], TRUTH.start[:2] + 5, TRUTH.end[:2] + 5)
    result = headroom(TRUTH, inexact, (0.3, 0.5), 3)
    np.testing.assert_allclose(result.mean_ap, [0.75, 0])
    np.testing.assert_allclose(result.lost["boundaries"], [0, 0.75])
    np.testing.assert_allclose(result.lost[MISSING], [0.25, 1])
    for step in ("ranking", "video classes", "segment classes"):
        np.testing.assert_allclose(result.lost[step], 0, atol=1e-12)


def test_nothing_predicted_is_missing():
    none = make_segments([], [], [], [])
    assert lost(none)[MISSING].tolist() == [1, 1, 1]
    assert not any(loss.any() for step, loss in lost(none).items() if step != MISSING)
    with pytest.raises(InputError, match="needs ground truth"):
        headroom(none, TRUTH, TIOUS, 3)


# Whole numbers: equal tIoUs are equal without rounding.
@given(segments(units=(1,)), segments(units=(1,)))
def test_oracles_equal_the_loops(truth, predictions):
    truth, predictions = truth[truth.end > truth.start], predictions[predictions.end > predictions.start]
    changed = oracles(truth, predictions, 2)
    keys = set(zip(truth.video.tolist(), truth.label.tolist(), strict=True))
    shown = [key in keys for key in zip(predictions.video.tolist(), predictions.label.tolist(), strict=True)]
    np.testing.assert_array_equal(changed["video classes"].start, predictions.start[np.array(shown, bool)])
    classes, places = set(), set()
    for row in range(len(predictions)):
        video, label, start, end, _ = (column[row] for column in vars(predictions).values())
        every = [tiou_of(predictions, row, truth, each, False) for each in range(len(truth))]
        same = [tiou_of(predictions, row, truth, each, True) for each in range(len(truth))]
        assert changed["ranking"].score[row] <= max(same, default=0) + 1e-12
        # Of instances with the same overlap the later one counts.
        best, own = (max(range(len(truth)), key=lambda i: (tious[i], i), default=0) for tious in (every, same))
        classes.add((video, truth.label[best] if max(every, default=0) else label, start, end))
        place = (truth.start[own], truth.end[own]) if max(same, default=0) else (start, end)
        places.add((video, label, *place))
    for step, expected in (("segment classes", classes), ("boundaries", places)):
        columns = [getattr(changed[step], name) for name in ("video", "label", "start", "end")]
        assert len(changed[step]) == len(expected)
        assert sorted(zip(*columns, strict=True)) == sorted(expected)


@given(segments(), segments())
def test_no_ranking_is_better_than_the_perfect_one(truth, predictions):
    truth = truth[truth.end > truth.start]
    if len(truth):
        result = headroom(truth, predictions, TIOUS, 2)
        assert (result.lost["ranking"] >= -0.1).all()  # pairing the best first is not always the best pairing
        np.testing.assert_allclose(result.mean_ap + result.lost["ranking"] + result.lost[MISSING], 1)


def tiou_of(predictions, row, truth, other, same_class):
    if predictions.video[row] != truth.video[other]:
        return 0.0
    if same_class and predictions.label[row] != truth.label[other]:
        return 0.0
    shared = min(predictions.end[row], truth.end[other]) - max(predictions.start[row], truth.start[other])
    lengths = predictions.end[row] - predictions.start[row] + truth.end[other] - truth.start[other]
    return max(shared, 0) / (lengths - shared)


def test_quality_counts_each_instance_once():
    labels = make_segments([0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 5, 5], [10, 10, 11, 15])
    quality = label_quality(TRUTH, labels, (0.5, 0.7), 3)
    np.testing.assert_allclose(quality.precision, [2 / 4, 1 / 4])
    np.testing.assert_allclose(quality.recall, [2 / 3, 1 / 3])
    np.testing.assert_allclose(quality.f1, [4 / 7, 2 / 7])
    none = make_segments([], [], [], [])
    for empty in (label_quality(TRUTH, none, (0.5,), 3), label_quality(none, labels, (0.5,), 3)):
        np.testing.assert_array_equal(empty, np.zeros((3, 1)))


@given(segments(), st.sampled_from([0.0, 0.3, 1.0]))
def test_pseudo_labels_are_known_good_and_apart(several, share):
    known = np.array([[True, False], [True, True], [False, False]])
    several = several[several.end > several.start]
    labels = pseudo_labels(several, known, share)
    assert (labels.score > 0).all() and known[labels.video, labels.label].all()
    for video, label in {(v, c) for v, c in zip(labels.video, labels.label, strict=True)}:
        own = labels[(labels.video == video) & (labels.label == label)]
        everything = several[(several.video == video) & (several.label == label)]
        assert own.score.max() == everything.score.max() and (own.score >= share * own.score.max()).all()
        own = own[np.argsort(own.start, kind="stable")]
        assert (own.end[:-1] <= own.start[1:] + 1e-12).all()
