"""Proposals: as recorded from the published code, and as a loop over the method's page gives them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tsc_jax.localization.proposals import proposals, runs_above
from tsc_jax.localization.video_scores import video_scores

PUBLISHED = {
    "topk_ratio": 10,
    "class_threshold": 0.2,
    "attention_thresholds": (0.1, 0.9, 10),
    "activation_thresholds": (0.1, 0.9, 0),
    "outer_ratio": 0.25,
    "video_score_weight": 0.2,
    "nms_sigma": 0.3,
}


def rows_of(segments):
    return np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)


@pytest.mark.parametrize("recording", range(10))
def test_recorded_proposals(shared, recording):
    golden = np.load(shared / "golden" / "proposals.npz")
    expected = golden[f"{recording}/proposals"]
    cas, attention = golden[f"{recording}/cas"][0], golden[f"{recording}/attn"][0, :, 0]
    rows = rows_of(proposals([cas], [attention], **PUBLISHED))
    np.testing.assert_array_equal(rows[:, :3], expected[:, :3])
    np.testing.assert_allclose(rows[:, 3], expected[:, 3], rtol=0, atol=1e-6)


@st.composite
def videos(draw):
    """(cas, attention) on coarse grids, so that thresholds are met exactly and scores tie."""
    snippets, classes = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    attention = rng.integers(0, 9, snippets) / 8
    if draw(st.booleans()):
        attention = np.repeat(attention, 5)[:snippets]
    return rng.integers(-8, 32, (snippets, classes + 1)) / 8, attention


@settings(max_examples=150, deadline=None)
@given(
    video=videos(),
    topk_ratio=st.integers(1, 12),
    class_threshold=st.sampled_from([0.05, 0.2, 1.0]),
    attention_thresholds=st.sampled_from([(0.1, 0.9, 10), (0.0, 1.0, 5), (0.5, 0.5, 1)]),
    activation_thresholds=st.sampled_from([(0.1, 0.9, 0), (0.1, 0.9, 5), (0.25, 0.75, 2)]),
    outer_ratio=st.sampled_from([0.0, 0.25, 0.5, 1.5]),
)
def test_equals_the_loops(video, topk_ratio, class_threshold, attention_thresholds, activation_thresholds, outer_ratio):
    choices = {"topk_ratio": topk_ratio, "class_threshold": class_threshold, "outer_ratio": outer_ratio}
    choices |= {"video_score_weight": 0.25, "nms_sigma": 0.3}
    choices |= {"attention_thresholds": attention_thresholds, "activation_thresholds": activation_thresholds}
    rows = rows_of(proposals([video[0]], [video[1]], **choices))
    expected = oracles.proposals(*video, **choices)
    np.testing.assert_allclose(rows, np.reshape(expected, (-1, 4)), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(videos(), max_size=5))
def test_videos_do_not_depend_on_each_other(several):
    together = proposals([cas for cas, _ in several], [attention for _, attention in several], **PUBLISHED)
    for index, (cas, attention) in enumerate(several):
        alone = proposals([cas], [attention], **PUBLISHED)
        np.testing.assert_array_equal(rows_of(together[together.video == index]), rows_of(alone))


def test_only_snippet_0_above_gives_nothing():
    start, end = runs_above(np.array([0.9, 0.0, 0.0]), np.array([0.5]))
    assert not len(start)
    assert not len(end)
    start, end = runs_above(np.array([0.9, 0.0, 0.9]), np.array([0.5]))
    np.testing.assert_array_equal([start, end], [[0, 2], [1, 3]])


def test_equal_runs_score_equal_wherever_they_are():
    """Values whose running totals round: two identical runs must still tie, the earlier one first."""
    action = np.array([[0.1, 0.3], [0.7, 0.1], [0.2, 0.9]])
    silence = np.full((4, 2), 1e-3)
    cas = np.concatenate([silence, action, np.full((4, 2), 1e6), silence, action, silence])
    attention = np.array([0.0] * 4 + [1.0] * 3 + [0.0] * 8 + [1.0] * 3 + [0.0] * 4)
    found = proposals([cas], [attention], **PUBLISHED | {"attention_thresholds": (0.5, 0.5, 1)})
    np.testing.assert_array_equal(found.start, [4, 15])
    assert found.score[0] == found.score[1]


def test_video_scores_are_a_distribution_without_background():
    activations = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    scores = video_scores(activations, 1)
    largest = np.exp(activations.max(axis=0))
    np.testing.assert_allclose(scores, (largest / largest.sum())[:-1], rtol=1e-6)
