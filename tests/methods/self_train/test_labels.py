"""From proposals to the class of every snippet."""

import ml_collections
import numpy as np
import pytest

from configs import self_training
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.methods.self_train import labels


def settings(**changes) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(self_training.on("tscnet", "demo").labels.to_dict() | changes)


def teacher(seed: int = 0, classes: int = 3) -> tuple[list[dict], np.ndarray, np.ndarray]:
    """Probabilities and attention of videos that show actions of 10 snippets, class scores, and video-level labels."""
    rng, outputs, shown = np.random.default_rng(seed), [], np.zeros((5, classes), bool)
    for video in range(5):
        cas = np.full((40 + video, classes + 1), 0.05)
        cas[:, -1] += 0.8
        for start, label in ((4, video % classes), (22, (video + 1) % classes)):
            cas[start : start + 10] = 0.05
            cas[start : start + 10, label] += 0.8
            shown[video, label] = True
        cas = np.abs(cas + rng.normal(0, 0.01, cas.shape))
        outputs.append({"cas": cas, "attention": 1 - cas[:, -1]})
    return outputs, np.full((5, classes), 1 / classes), shown


@pytest.mark.parametrize("fusion", ["none", "gaussian", "ricker"])
def test_a_clear_teacher_gives_its_actions(fusion):
    segments = labels.pseudo_segments(*teacher(), settings(fusion=fusion))
    assert len(segments) == 10
    order = np.lexsort([segments.start, segments.video])
    np.testing.assert_allclose(segments.start[order].reshape(5, 2), np.tile([4, 22], (5, 1)), atol=1)
    np.testing.assert_allclose(segments.end[order].reshape(5, 2), np.tile([14, 32], (5, 1)), atol=1)
    np.testing.assert_array_equal(
        segments.label[order].reshape(5, 2), [[video % 3, (video + 1) % 3] for video in range(5)]
    )


def test_only_labelled_classes_are_proposed():
    outputs, scores, shown = teacher()
    shown[0] = False
    shown[1] = [True, False, False]
    segments = labels.pseudo_segments(outputs, scores, shown, settings(least_share=-np.inf))
    assert not (segments.video == 0).any()
    assert set(segments.label[segments.video == 1]) == {0}


def test_a_segment_needs_a_share_of_the_best_score_of_its_video_and_class():
    outputs, scores, shown = teacher()
    outputs[0]["cas"][24:30] = 0.6 * outputs[0]["cas"][24:30]
    counts = [
        len(labels.pseudo_segments(outputs, scores, shown, settings(least_share=share))) for share in (0.0, 0.5, 1.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == shown.sum(), "the best one of each class"


def test_a_snippet_belongs_to_the_best_segment_that_holds_its_middle():
    segments = make_segments([0, 0, 1], [1, 0, 2], [0.6, 2.0, -1.0], [3.4, 4.5, 9.0], [0.9, 0.5, 0.1])
    assert labels.snippet_labels(segments, [6, 3], 3).tolist() == [3, 1, 1, 0, 3, 3, 2, 2, 2]


def random_segments(rng, lengths, classes: int, number: int, longest: float) -> Segments:
    """Segments of many videos that may overlap and reach beyond their video."""
    start = rng.uniform(-2, max(lengths), number)
    end = start + rng.uniform(0, longest, number)
    return make_segments(
        rng.integers(len(lengths), size=number), rng.integers(classes, size=number), start, end, rng.random(number)
    )


def test_labels_and_distances_are_those_of_an_oracle():
    lengths, expected, distances = [7, 1, 12], [], []
    segments = random_segments(np.random.default_rng(0), lengths, 4, 20, longest=5)
    for index, length in enumerate(lengths):
        for snippet in range(length):
            holds = (segments.video == index) & (segments.start <= snippet + 0.5) & (snippet + 0.5 < segments.end)
            best = segments[holds][segments.score[holds].argmax(keepdims=True)] if holds.any() else None
            expected.append(best.label[0] if best else 4)
            distances.append([snippet + 0.5 - best.start[0], best.end[0] - snippet - 0.5] if best else [0, 0])
    assert labels.snippet_labels(segments, lengths, 4).tolist() == expected
    found = labels.snippet_distances(segments, lengths)
    np.testing.assert_allclose(found, distances, rtol=1e-6)
    assert found.dtype == np.float32 and (found >= 0).all()


def test_nothing_is_learnt_without_segments():
    nothing = make_segments([], [], [], [])
    assert labels.snippet_labels(nothing, [3, 2], 4).tolist() == [4] * 5
    assert not labels.snippet_distances(nothing, [3, 2]).any()
    assert labels.snippet_distances(nothing, [0]).shape == (0, 2)


def test_wrong_values_are_named():
    for changes, message in (
        ({"fusion": "mean"}, r"config\.labels\.fusion is 'mean', expected one of none, gaussian, ricker"),
        ({"cover": 2}, r"config\.labels\.cover is 2, expected a number from 0 to 1"),
        ({"nms": "softly"}, r"config\.labels\.nms is 'softly'"),
    ):
        with pytest.raises(InputError, match=message):
            labels.check(settings(**changes))
    assert set(settings()) == set(labels.RULES) | set(steps.RULES)
