"""The steps from tracks to segments, each against an oracle or by what it may not change."""

import itertools

import ml_collections
import numpy as np
import pytest

from configs import plus
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.localization.contrast import contrast_between, inner_outer_contrast


def settings(**changes) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(steps.PUBLISHED | changes)


def made_up(videos: int = 4, classes: int = 3, seed: int = 0) -> tuple[list[dict], np.ndarray]:
    """Smooth tracks of videos of different lengths, and class scores."""
    rng, outputs = np.random.default_rng(seed), []
    for video in range(videos):
        walk = np.cumsum(rng.normal(size=(12 + 7 * video, classes + 2)), axis=0)
        attention = 1 / (1 + np.exp(-walk[:, -1]))
        outputs.append({"cas": walk[:, :-1].astype(np.float32), "attention": attention.astype(np.float32)})
    return outputs, rng.dirichlet(np.ones(classes), videos).astype(np.float32)


def columns(segments) -> np.ndarray:
    return np.stack([np.asarray(column, float) for column in vars(segments).values()], axis=1)


def run(outputs, scores, probabilities=False, **changes):
    return steps.localize(outputs, scores, settings(**changes), probabilities=probabilities)


CHOICES = [
    {"tracks": "classes"},
    {"tracks": "both", "upsampling": 4, "bounds": "real"},
    {"score": "probabilities", "score_power": 0.5},
    {"video_score": "multiplied", "outer_ratio": 0.5},
    {"density_power": 0.5, "nms": "hard"},
    plus.STEPS,
]


@pytest.mark.parametrize("changes", [{}, *CHOICES])
def test_no_video_influences_another_and_segments_lie_in_their_video(changes):
    outputs, scores = made_up()
    together = run(outputs, scores, **changes)
    assert len(together)
    for video, output in enumerate(outputs):
        own, alone = together[together.video == video], run([output], scores[video : video + 1], **changes)
        np.testing.assert_array_equal(columns(own)[:, 1:], columns(alone)[:, 1:])
        assert (own.start >= 0).all() and (own.start < own.end).all() and (own.end <= len(output["attention"])).all()


@pytest.mark.parametrize("changes", CHOICES)
def test_every_choice_changes_the_segments(changes):
    outputs, scores = made_up()
    published, chosen = run(outputs, scores), run(outputs, scores, **changes)
    assert columns(published).shape != columns(chosen).shape or (columns(published) != columns(chosen)).any()


def test_a_known_class_is_proposed_whatever_its_score_and_no_other_is():
    outputs, scores = made_up()
    shown = np.eye(4, 3, dtype=bool)
    segments = steps.propose(outputs, scores, settings(), probabilities=False, shown=shown)
    assert set(zip(segments.video, segments.label, strict=True)) == {(0, 0), (1, 1), (2, 2)}


def test_probabilities_and_their_logits_give_the_same_segments():
    outputs, scores = made_up()
    changes = {"score": "probabilities", "score_power": 0.7}
    shares = []
    for output in outputs:
        weights = np.exp(output["cas"].astype(float))
        shares.append(output | {"cas": weights / weights.sum(axis=1, keepdims=True)})
    np.testing.assert_allclose(
        columns(run(shares, scores, True, **changes)), columns(run(outputs, scores, **changes)), rtol=1e-12
    )


def test_the_class_score_moves_scores_as_documented():
    outputs, scores = made_up()
    plain = {"nms": "none", "video_score": "gate"}
    base = run(outputs, scores, **plain)
    of_class = scores[base.video, base.label]
    added = run(outputs, scores, **plain | {"video_score": "added", "video_score_weight": 0.4})
    np.testing.assert_allclose(added.score, base.score + 0.4 * of_class, rtol=1e-5)
    multiplied = run(outputs, scores, **plain | {"video_score": "multiplied", "video_score_weight": 0.4})
    np.testing.assert_allclose(multiplied.score, base.score * of_class**0.4, rtol=1e-5)


def test_real_bands_are_the_integral_of_the_track():
    rng = np.random.default_rng(0)
    track = rng.random(20)
    start = rng.uniform(0, 15, 30)
    end = start + rng.uniform(0.3, 5, 30)
    fine, points = np.repeat(track, 2000), (np.arange(40_000) + 0.5) / 2000
    for a, b, score in zip(start, end, contrast_between(track, start, end, 0.25, 0.7), strict=True):
        margin = 0.25 * (b - a)
        inside = (points >= a) & (points < b)
        outside = (points >= a - margin) & (points < b + margin) & ~inside
        assert score == pytest.approx(fine[inside].mean() - 0.7 * fine[outside].mean(), abs=0.02)


def test_real_and_whole_bands_agree_where_bands_are_whole_snippets():
    track = np.random.default_rng(1).random((40, 1))
    start = np.array([8, 16, 0, 32])
    end = start + 8
    np.testing.assert_allclose(
        contrast_between(track[:, 0], start, end, 0.25), inner_outer_contrast(track, start, end, 0.25)[0]
    )


def test_a_run_of_the_whole_video_has_no_outside():
    assert contrast_between(np.full(5, 0.4), np.array([0.0]), np.array([5.0]), 0.25) == pytest.approx(0.4)


def test_snippet_0_alone_is_a_run_only_if_told_so():
    output = {"cas": np.zeros((4, 2), np.float32), "attention": np.float32([0.9, 0, 0, 0])}
    scores = np.ones((1, 1), np.float32)
    assert not len(run([output], scores, thresholds=(0.5, 0.5, 1)))
    assert len(run([output], scores, thresholds=(0.5, 0.5, 1), lone_first=True)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracks": "class"}, "config.localization.tracks is 'class', expected one of attention, classes, both"),
        ({"upsampling": 0}, "config.localization.upsampling is 0, expected 1 or more"),
        ({"score_power": 0.0}, "config.localization.score_power is 0.0, expected a number above 0"),
        ({"video_score": "times"}, "config.localization.video_score is 'times'"),
        ({"nms": "nms"}, "config.localization.nms is 'nms', expected one of soft, hard, none"),
    ],
)
def test_a_wrong_value_is_named(changes, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        steps.check("localization", settings(**changes))


def test_every_setting_has_a_rule():
    assert set(steps.RULES) == set(steps.PUBLISHED)
    assert set(itertools.chain(plus.STEPS)) <= set(steps.PUBLISHED)
