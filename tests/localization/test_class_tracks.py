"""Each quirk of the published localization by class tracks is a setting, and the sane choice is one flag away."""

import numpy as np
import pytest

from configs import rskp_activitynet13, rskp_thumos14
from tsc_jax.localization.class_tracks import class_scores, localize


def settings(**changes):
    config = rskp_thumos14.get_config()
    config.proposals.update(changes)
    return config.proposals


def video(track, score: float = 0.9, other: float = 0.05) -> dict:
    """Two classes, of which the first has the track, and a background."""
    track = np.asarray(track, np.float32)
    cas = np.stack([track, 0 * track, 1 - track], axis=1)
    return {"cas": cas, "class_scores": np.array([score, other, 1 - score - other], np.float32)}


def rows(outputs, **changes):
    segments = localize(outputs, settings(**changes))
    return list(zip(segments.video.tolist(), segments.label.tolist(), segments.start, segments.end, strict=True))


TRACK = [0, 0, 1, 1, 1, 0, 0, 0]


def test_a_proposal_ends_one_snippet_late_unless_told_otherwise():
    assert rows([video(TRACK)]) == [(0, 0, 2, 6)]
    assert rows([video(TRACK)], overrun=0) == [(0, 0, 2, 5)]
    assert rows([video([0, 1, 1])]) == [(0, 0, 1, 4)], "beyond the end of the video, as published"


def test_runs_of_one_snippet_are_dropped_unless_told_otherwise():
    assert rows([video([0, 0, 1, 0, 0])]) == []
    assert rows([video([0, 0, 1, 0, 0])], shortest=1) == [(0, 0, 2, 4)]
    assert rows([video([1])]) == []


def test_a_video_without_a_class_above_the_threshold_has_no_proposal_unless_told_otherwise():
    unsure = [video(TRACK, 0.09, 0.05)]
    assert rows(unsure) == []
    assert rows(unsure, at_least_one_class=True) == [(0, 0, 2, 6)]
    assert rows(unsure, class_threshold=0.09 - 1e-6) == [(0, 0, 2, 6)]


def test_the_overlap_is_the_share_of_the_worse_proposal_unless_told_otherwise():
    # A long run at low thresholds with a short, better one inside: the short one covers less than half of the long one.
    track = np.where(np.isin(np.arange(40), [20, 21, 22]), 0.03, 0.002) * (np.arange(40) < 30)
    assert len(rows([video(track)], thresholds=(0.001, 0.02, 2), nms_limit=0.5)) == 2
    # Of the same two, the worse one is the short one if the contrast of the long one is better.
    track = np.where(np.isin(np.arange(40), [20, 21, 22]), 0.031, 0.03) * (np.arange(40) < 30)
    assert len(rows([video(track)], thresholds=(0.001, 0.0305, 2))) == 1
    assert len(rows([video(track)], thresholds=(0.001, 0.0305, 2), nms_overlap="tiou")) == 2


def test_scores_rank_the_videos_and_leave_out_the_background():
    scores = class_scores([video(TRACK), video(TRACK, 0.5)])
    np.testing.assert_allclose(scores, [[0.9, 0.05], [0.5, 0.05]])


def test_a_video_without_proposals_has_class_scores():
    empty = [video([0, 0], 0.05)]
    assert len(localize(empty, settings())) == 0 and class_scores(empty).shape == (1, 2)


@pytest.mark.parametrize("factor", [1, 20])
def test_upsampled_proposals_are_in_snippets_and_cut_between_them(factor):
    found = localize([video(TRACK)], settings(upsampling=factor, overrun=0, thresholds=(0.5, 0.5, 1)))
    np.testing.assert_allclose([found.start, found.end], [[2], [5]], atol=0.05 if factor > 1 else 0)


def test_activitynet_samples_75_snippets_and_interpolates():
    config = rskp_activitynet13.get_config()
    assert (config.train.sampling, config.train.snippets, config.model.test_snippets) == ("spans", 75, 75)
    segments = localize([video(TRACK)], config.proposals)
    assert len(segments) and (segments.end <= len(TRACK) + 1 / 20).all()
