"""TSC-Net's proposals: as recorded from the published code, and as a loop over the method's page gives them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import thumos14
from tests import oracles
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.localize import check_proposals, class_scores, localize


def proposals_config(**changes):
    """The published `config.proposals` with changes."""
    config = thumos14.get_config().proposals
    config.update(changes)
    return config


def output(cas, attention):
    return {"cas": cas, "attention": attention}


def rows_of(segments):
    return np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)


@pytest.mark.parametrize("recording", range(10))
def test_recorded_proposals(shared, recording):
    golden = np.load(shared / "golden" / "proposals.npz")
    expected = golden[f"{recording}/proposals"]
    cas, attention = golden[f"{recording}/cas"][0], golden[f"{recording}/attn"][0, :, 0]
    rows = rows_of(localize([output(cas, attention)], proposals_config()))
    np.testing.assert_array_equal(rows[:, :3], expected[:, :3])
    np.testing.assert_allclose(rows[:, 3], expected[:, 3], rtol=0, atol=1e-6)


@st.composite
def videos(draw, classes=None):
    """(cas, attention) on coarse grids, so that thresholds are met exactly and scores tie."""
    snippets, classes = draw(st.integers(1, 40)), classes or draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    attention = rng.integers(0, 9, snippets) / 8
    if draw(st.booleans()):
        attention = np.repeat(attention, 5)[:snippets]
    return rng.integers(-8, 32, (snippets, classes + 1)) / 8, attention


@settings(max_examples=150)
@given(
    video=videos(),
    choices=st.fixed_dictionaries(
        {
            "topk_ratio": st.integers(1, 12),
            "class_threshold": st.sampled_from([0.05, 0.2, 1.0]),
            "attention_thresholds": st.sampled_from([(0.1, 0.9, 10), (0.0, 1.0, 5), (0.5, 0.5, 1)]),
            "outer_ratio": st.sampled_from([0.0, 0.25, 0.5, 1.5]),
            "video_score_weight": st.just(0.25),
            "nms_sigma": st.sampled_from([0.3, 0.5]),
        }
    ),
)
def test_equals_the_loops(video, choices):
    rows = rows_of(localize([output(*video)], proposals_config(**choices)))
    expected = oracles.proposals(*video, **choices)
    np.testing.assert_allclose(rows, np.reshape(expected, (-1, 4)), rtol=0, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(videos(classes=3), max_size=5), st.integers(1, 9))
def test_videos_do_not_depend_on_each_other(several, topk_ratio):
    config = proposals_config(classification_topk_ratio=topk_ratio)
    outputs = [output(*video) for video in several]
    together, scores = localize(outputs, config), class_scores(outputs, config)
    assert len(scores) == len(several)
    for index, (cas, _) in enumerate(several):
        alone, score = localize([outputs[index]], config), class_scores([outputs[index]], config)
        np.testing.assert_array_equal(rows_of(together[together.video == index]), rows_of(alone))
        np.testing.assert_array_equal(scores[index], score[0])
        top = math.ceil(len(cas) / topk_ratio)
        pooled = np.exp([np.mean(sorted(column)[-top:]) for column in cas.T])
        np.testing.assert_allclose(score[0], pooled[:-1] / pooled.sum(), rtol=1e-12)


def test_a_threshold_that_only_snippet_0_exceeds_gives_nothing():
    config = proposals_config(attention_thresholds=(0.5, 0.5, 1))
    cas = np.ones((3, 2))
    assert not len(localize([output(cas, np.array([0.9, 0.0, 0.0]))], config))
    segments = localize([output(cas, np.array([0.9, 0.0, 0.9]))], config)
    np.testing.assert_array_equal(np.sort(segments.start), [0, 2])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("topk_ratio", 0, "1 or more"),
        ("classification_topk_ratio", 0, "1 or more"),
        ("class_threshold", math.nan, "a finite number"),
        ("attention_thresholds", (0.1, 0.9), "1 or more"),
        ("attention_thresholds", (0.1, 0.9, 0), "1 or more"),
        ("attention_thresholds", (0.1, 0.9, 0.5), "1 or more"),
        ("attention_thresholds", (0.1, math.nan, 10), "1 or more"),
        ("attention_thresholds", ("a", 0.9, 10), "1 or more"),
        ("outer_ratio", -0.1, "0 or more"),
        ("outer_ratio", math.inf, "0 or more"),
        ("video_score_weight", math.inf, "a finite number"),
        ("nms_sigma", 0.0, "a number above 0"),
        ("nms_sigma", math.nan, "a number above 0"),
    ],
)
def test_an_invalid_setting_is_named(key, value, expected):
    check_proposals(proposals_config())
    with pytest.raises(InputError) as error:
        check_proposals(proposals_config(**{key: value}))
    assert str(error.value).startswith(f"config.proposals.{key} is {value}, expected ")
    assert str(error.value).endswith(expected)
