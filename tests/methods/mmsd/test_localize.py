"""Each quirk of the published localization is a setting, and the sane choice is one flag away."""

import numpy as np
import pytest

from tests.methods.mmsd.small import small_config
from tsc_jax.methods.mmsd.localize import localize


def video(*tracks: list[float], scores: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Outputs of one video from the tracks of its classes; the background is 0."""
    cas = np.array([*tracks, np.zeros(len(tracks[0]))], np.float32).T
    return {"cas": cas, "class_scores": np.array([*scores, 0], np.float32)}


def segments(outputs, **changes) -> list[tuple]:
    """Video, class, start and end of every proposal, under changed settings."""
    found, _ = localize(
        outputs, small_config(**{f"proposals.{key}": value for key, value in changes.items()}).proposals
    )
    return list(zip(found.video.tolist(), found.label.tolist(), found.start.tolist(), found.end.tolist(), strict=True))


ONE_RUN = video([0, 0, 1, 1, 1, 0, 0, 0], scores=(0.9,))


@pytest.mark.parametrize(("changes", "end"), [({}, 6), ({"overrun": 0}, 5)])
def test_a_proposal_ends_one_snippet_late(changes, end):
    assert segments([ONE_RUN], **changes) == [(0, 0, 2, end)]


def test_a_late_end_may_lie_beyond_the_video():
    assert segments([video([0, 1, 1], scores=(0.9,))]) == [(0, 0, 1, 4)]


@pytest.mark.parametrize(("changes", "number"), [({}, 0), ({"shortest": 1}, 1)])
def test_single_snippets_are_dropped(changes, number):
    assert len(segments([video([0, 1, 0, 0], scores=(0.9,))], **changes)) == number


@pytest.mark.parametrize(("changes", "classes"), [({}, []), ({"at_least_one_class": True}, [1])])
def test_a_video_without_a_class_above_the_threshold_has_no_proposal(changes, classes):
    outputs = [video([1, 1, 0], [1, 1, 0], scores=(0.1, 0.19))]
    assert [label for _, label, _, _ in segments(outputs, **changes)] == classes


@pytest.mark.parametrize(("changes", "number"), [({}, 1), ({"nms_overlap": "tiou"}, 2)])
def test_nms_measures_overlap_over_the_worse_proposal(changes, number):
    """A run of 2 that hardly stands out lies in a run of 12."""
    track = [0.0] * 4 + [0.006] * 5 + [0.007] * 2 + [0.006] * 5 + [0.0] * 4
    kept = segments([video(track, scores=(0.9,))], thresholds=(0.0005, 0.0065, 2), **changes)
    assert kept == [(0, 0, 4, 17), (0, 0, 9, 12)][:number]


def test_class_scores_come_without_the_background():
    _, scores = localize([ONE_RUN, ONE_RUN], small_config().proposals)
    np.testing.assert_array_equal(scores, np.float32([[0.9], [0.9]]))
    empty, scores = localize([video([0, 0], scores=(0.1,))], small_config().proposals)
    assert len(empty) == 0 and scores.shape == (1, 1)
