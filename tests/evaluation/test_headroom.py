"""Headroom: each oracle repairs the error that was made, and no other; the quality of pseudo labels by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.localization.made_up import segments
from tsc_jax.errors import InputError
from tsc_jax.evaluation import detection
from tsc_jax.evaluation.headroom import STEPS, headroom, label_quality, oracles, pseudo_labels
from tsc_jax.localization.segments import concatenate, make_segments

TIOUS = (0.3, 0.5, 0.7)
TRUTH = make_segments([0, 0, 1], [0, 1, 0], [0, 20, 5], [10, 30, 15])


def with_errors(*rows):
    """The perfect predictions, of score 0.5, and rows (video, label, start, end, score) before them."""
    perfect = make_segments(TRUTH.video, TRUTH.label, TRUTH.start, TRUTH.end, np.full(3, 0.5))
    return concatenate([make_segments(*np.transpose(rows)), perfect])


def gained(predictions):
    return {step: values.mean() for step, values in headroom(TRUTH, predictions, TIOUS, 3).gained.items()}


def test_perfect_predictions_leave_nothing_to_gain():
    result = headroom(TRUTH, TRUTH, TIOUS, 3)
    np.testing.assert_array_equal([result.mean_ap, result.found, *result.perfect.values()], np.ones((6, 3)))


ERRORS = {
    # A confident prediction in the wrong place: only the order is wrong.
    "ranking": ((0, 0, 40, 50, 0.9), {"ranking"}),
    # Of a class that the video does not show.
    "video classes": ((1, 1, 40, 50, 0.9), {"ranking", "video classes"}),
    # The class of the other instance of this video.
    "segment classes": ((0, 1, 2, 8, 0.9), {"ranking", "segment classes"}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_the_step_that_erred_gains_and_the_others_do_not(name):
    row, helping = ERRORS[name]
    gains = gained(with_errors(row))
    assert {step for step, gain in gains.items() if gain > 0.01} == helping
    assert name == "segment classes" or gains[name] == pytest.approx(gains["ranking"])


def test_inexact_boundaries_are_gained_by_boundaries_alone_and_missing_ones_by_none():
    inexact = make_segments(TRUTH.video[:2], TRUTH.label[:2], TRUTH.start[:2] + 5, TRUTH.end[:2] + 5)
    result = headroom(TRUTH, inexact, (0.3, 0.5), 3)
    np.testing.assert_allclose(result.mean_ap, [0.75, 0])
    np.testing.assert_allclose(result.found, [0.75, 0])
    np.testing.assert_allclose(result.gained["boundaries"], [0, 0.75])
    for step in ("ranking", "video classes", "segment classes"):
        np.testing.assert_allclose(result.gained[step], 0, atol=1e-12)


def test_nothing_predicted_is_nothing_found():
    none = make_segments([], [], [], [])
    result = headroom(TRUTH, none, TIOUS, 3)
    assert not np.any([result.mean_ap, result.found, *result.perfect.values()])
    with pytest.raises(InputError, match="needs ground truth"):
        headroom(none, TRUTH, TIOUS, 3)


@given(segments(), segments())
def test_oracles_equal_the_loops_and_found_is_a_bound(truth, predictions):
    truth = truth[truth.end > truth.start]
    if not len(truth):
        return
    changed = oracles(truth, predictions, 2)
    keys = set(zip(truth.video.tolist(), truth.label.tolist(), strict=True))
    shown = [key in keys for key in zip(predictions.video.tolist(), predictions.label.tolist(), strict=True)]
    np.testing.assert_array_equal(changed["video classes"].start, predictions.start[np.array(shown, bool)])
    for row in range(len(predictions)):
        for step, column, same_class in (("ranking", "score", True), ("segment classes", "label", False)):
            overlaps = [tiou_of(predictions, row, truth, each, same_class) for each in range(len(truth))]
            best = max(overlaps, default=0)
            if step == "ranking":
                assert changed[step].score[row] == pytest.approx(best)
            elif best > 0:
                at_best = {truth.label[i] for i, overlap in enumerate(overlaps) if overlap >= best - 1e-12}
                assert changed[step].label[row] in at_best
            else:
                assert getattr(changed[step], column)[row] == getattr(predictions, column)[row]
    result = headroom(truth, predictions, TIOUS, 2)
    assert (result.perfect["ranking"] <= result.found + 1e-12).all()


def tiou_of(predictions, row, truth, other, same_class):
    if predictions.video[row] != truth.video[other]:
        return 0.0
    if same_class and predictions.label[row] != truth.label[other]:
        return 0.0
    shared = min(predictions.end[row], truth.end[other]) - max(predictions.start[row], truth.start[other])
    lengths = predictions.end[row] - predictions.start[row] + truth.end[other] - truth.start[other]
    return max(shared, 0) / (lengths - shared)


def test_the_steps_are_those_that_are_described():
    assert list(headroom(TRUTH, TRUTH, TIOUS, 3).perfect) == list(STEPS)


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


def test_the_perfect_ranking_finds_at_every_threshold_what_any_ranking_finds():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 90, 40)
    several = make_segments(0, 0, start, start + rng.uniform(2, 20, 40), rng.random(40))
    truth = make_segments(0, 0, [0, 20, 40, 60], [10, 30, 50, 75])
    found = headroom(truth, several, TIOUS, 1).found
    hits = (detection.assign(truth, several, TIOUS, 1) >= 0).sum(axis=1) / 4
    assert (found >= hits - 1e-12).all()
