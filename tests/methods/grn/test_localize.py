"""Runs of two streams that overlap become one; each option of the page is one value away."""

import numpy as np
import pytest

from configs import recipe
from tsc_jax.methods.grn.localize import class_scores, localize, merge


def settings(**changes):
    config = recipe("grn", "thumos14").proposals
    config.update(changes)
    return config


def runs(*bounds: tuple[int, int]):
    return tuple(np.array(bounds, np.int64).reshape(-1, 2).T)


@pytest.mark.parametrize(
    ("flow", "merged"),
    [
        ([(1, 5)], [(0, 5)]),  # 3 / 5
        ([(2, 6)], [(0, 4), (2, 6)]),  # 2 / 6
        ([(0, 2)], [(0, 4), (0, 2)]),  # 1 / 2 is not more than the limit
        ([], [(0, 4)]),
    ],
)
def test_runs_merge_above_the_limit(flow, merged):
    np.testing.assert_array_equal(np.stack(merge([runs((0, 4)), runs(*flow)], 0.5), axis=1), merged)


def output(rgb: list[float], flow: list[float]) -> dict[str, np.ndarray]:
    maps = {"rgb": np.array(rgb, np.float32)[:, None], "flow": np.array(flow, np.float32)[:, None]}
    return maps | {f"{name}_video": track.mean(axis=0) for name, track in maps.items()}


BOTH = output([0, 0.8, 0.8, 0.8, 0, 0], [0, 0, 0.6, 0.6, 0.6, 0])


def segments(outputs, streams=("rgb", "flow"), **changes) -> list[tuple]:
    proposals = localize(outputs, streams, settings(thresholds=(0.5, 0.5, 1), **changes))
    return [tuple(round(value, 4) for value in row[1:]) for row in proposals.rows()]


def test_the_score_is_the_mean_of_the_fused_scores_inside():
    assert segments([BOTH]) == [(1, 4, 0.6), (2, 5, 0.5667)], "tIoU 2 / 4 is not more than the limit"
    assert segments([BOTH], rgb_weight=1.0) == [(1, 4, 0.8), (2, 5, 0.5333)]


def test_a_stream_that_does_not_show_the_class_gives_no_runs_but_counts_in_the_score():
    weak = output([0, 0.8, 0.8, 0.8, 0, 0], [0.4, 0.04, 0.04, 0.04, 0, 0])
    assert segments([weak]) == [(1, 4, 0.42)]
    assert segments([weak], class_threshold=0.5) == []


def test_one_stream_alone_and_thresholds_in_shares_of_the_range():
    low = output([0.1, 0.3, 0.3, 0.1], [0, 0, 0, 0])
    assert segments([low], ("rgb",)) == []
    assert segments([low], ("rgb",), threshold_scale="range") == [(1, 3, 0.3)]


def test_each_video_alone_gives_its_part_of_the_batch():
    outputs = [BOTH, output([0.9] * 4, [0.9] * 4), output([0] * 3, [0] * 3)]
    streams, chosen = ("rgb", "flow"), settings()
    proposals, scores = localize(outputs, streams, chosen), class_scores(outputs, streams, chosen)
    assert scores.dtype == np.float32 and scores.shape == (3, 1)
    for video, each in enumerate(outputs):
        alone, score = localize([each], streams, chosen), class_scores([each], streams, chosen)
        assert list(alone.rows()) == list(proposals[proposals.video == video].rows())
        np.testing.assert_array_equal(score[0], scores[video])
