"""Proposals equal the page of the method written as plain loops; each quirk has a setting."""

import numpy as np
import pytest

from tests import oracles
from tests.methods.facnet.small import CLASSES, small_config
from tsc_jax.methods.facnet.localize import class_scores, localize

MODALITIES = ("rgb", "flow")


def random_video(seed: int) -> dict[str, np.ndarray]:
    """Outputs of a video in which every class is here and there."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(1, 40))
    waves = np.sin(np.arange(length)[:, None] / rng.uniform(1, 4, CLASSES + 1) + rng.uniform(0, 6, CLASSES + 1))
    output = {}
    for name in (*MODALITIES, "joint"):
        output[f"{name}/scores"] = (5 * waves + rng.normal(size=waves.shape)).astype(np.float32)
        output[f"{name}/class_agnostic"] = rng.normal(size=CLASSES + 1).astype(np.float32) * 3
    return output


def settings(**changes):
    return small_config(**{f"proposals.{key}": value for key, value in changes.items()}).proposals


def softmax(x):
    x = np.exp(np.asarray(x, np.float64))
    return x / x.sum(axis=-1, keepdims=True)


def modality_rows(output, name, settings) -> list[list[tuple]]:
    """Rows (start, end, score) of each class, in the order taken."""
    tracks, scores = softmax(output[f"{name}/scores"]), softmax(output[f"{name}/class_agnostic"])
    length, overrun, rows = len(tracks), settings.overrun, []
    overlap = getattr(oracles, settings.nms_overlap)
    for c in range(CLASSES):
        of_class = []
        for threshold in np.linspace(*settings.thresholds) if scores[c] >= settings.class_threshold else ():
            for start, end in oracles.runs([t for t in range(length) if tracks[t, c] > threshold]):
                if end - start < settings.shortest:
                    continue
                margin = settings.outer_ratio * (end - start)
                last = int(end + margin + 1) - 1 if overrun else int(end - 1 + margin)
                outer = [*range(max(0, int(start - margin)), start)]
                outer += range(end + overrun, min(length - overrun - 1, last) + 1)
                inner = oracles.mean([tracks[t, c] for t in range(start, min(end + overrun, length))])
                score = inner - settings.outer_weight * oracles.mean([tracks[t, c] for t in outer])
                of_class.append((start, end + overrun, score))
        rows.append(oracles.hard_nms(of_class[::-1], settings.nms_limit, overlap, int(settings.nms_pixels)))
    return rows


def fused_rows(output, settings) -> list[list[tuple]]:
    """Rows of each class after the fusion."""
    rgb, flow = (modality_rows(output, name, settings) for name in MODALITIES)
    rgb = [[(start, end, settings.rgb_weight * score) for start, end, score in rows] for rows in rgb]
    overlap = getattr(oracles, settings.nms_overlap)
    limit, plus = settings.fusion_nms_limit, int(settings.nms_pixels)
    return [
        oracles.hard_nms((one + other)[::-1], limit, overlap, plus) if one and other else one + other
        for one, other in zip(rgb, flow, strict=True)
    ]


def assert_rows(segments, videos: list[list[list[tuple]]]) -> None:
    expected = [
        (video, label, *row) for video, rows in enumerate(videos) for label, of in enumerate(rows) for row in of
    ]
    rows = [(video, *row) for video, row in zip(segments.video, segments.rows(), strict=True)]
    np.testing.assert_allclose(rows, expected, atol=1e-9)
    assert expected


QUIRKS = {
    "published": {},
    "end of the run": {"overrun": 0},
    "tIoU": {"nms_overlap": "tiou", "nms_pixels": False, "nms_limit": 0.5},
    "other numbers": {"thresholds": (0.1, 0.7, 3), "shortest": 1, "outer_weight": 1.0, "rgb_weight": 1.0},
}


@pytest.mark.parametrize("changes", QUIRKS.values(), ids=QUIRKS)
def test_proposals_are_those_of_plain_loops(changes):
    outputs, chosen = [random_video(seed) for seed in range(40)], settings(**changes)
    assert_rows(localize(outputs, ["joint"], chosen), [modality_rows(output, "joint", chosen) for output in outputs])
    assert_rows(localize(outputs, MODALITIES, chosen), [fused_rows(output, chosen) for output in outputs])


def test_class_scores_are_the_mean_of_the_modalities():
    outputs = [random_video(seed) for seed in range(40)]
    expected = [np.mean([softmax(each[f"{name}/class_agnostic"]) for name in MODALITIES], axis=0) for each in outputs]
    scores = class_scores(outputs, MODALITIES)
    np.testing.assert_allclose(scores, np.array(expected)[:, :-1], rtol=1e-6)


def test_a_class_below_the_gate_has_no_proposal_unless_one_is_wanted():
    output = random_video(3)
    output["joint/class_agnostic"] = np.array([0, 1, 0, 9], np.float32)  # the background alone
    assert not len(localize([output], ["joint"], settings()))
    segments = localize([output], ["joint"], settings(at_least_one_class=True))
    assert set(segments.label) == {1}


def test_a_filter_works_before_the_fusion():
    """Filtered later, the better proposal of flow would already have removed the one of RGB."""
    rgb, flow = np.zeros((20, CLASSES + 1), np.float32), np.zeros((20, CLASSES + 1), np.float32)
    rgb[:, -1] = flow[:, -1] = 9
    rgb[5:15, 0], flow[4:16, 0] = 12, 14
    agnostic = np.array([9, 0, 0, 0], np.float32)
    output = {"rgb/scores": rgb, "flow/scores": flow} | {f"{name}/class_agnostic": agnostic for name in MODALITIES}
    segments = localize([output], MODALITIES, settings())
    assert (segments.start.tolist(), segments.end.tolist()) == ([4], [17])
    kept = localize([output], MODALITIES, settings(), keep=lambda segments: segments[segments.start != 4])
    assert (kept.start.tolist(), kept.end.tolist()) == ([5], [16])
