"""The toolbox is enough for other methods: it rebuilds what was recorded of FAC-Net, RSKP, MMSD and GRN."""

import numpy as np
import pytest

from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import covered_share, hard_nms
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import concatenate, make_segments
from tsc_jax.localization.video_scores import admitted_classes


def recording(shared, method):
    return np.load(shared / "methods" / method / "golden" / "proposals.npz")


def assert_rows(segments, expected):
    rows = np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "group", "videos", "prefix", "inputs", "shortest", "outer_weight", "limit"),
    [
        ("facnet", "meta/", 19, "rgb_", ("vid_pred", "frm_pred"), 3, 0.6, 0.2),
        ("facnet", "meta/", 19, "flow_", ("vid_pred", "frm_pred"), 3, 0.6, 0.2),
        ("rskp", "", 11, "", ("vid_pred", "frm_pred"), 2, 1.0, 0.5),  # video 11 has no ground truth: not evaluated
        ("mmsd", "meta/", 10, "", ("video_score", "snippet_score"), 2, 1.0, 0.4),
    ],
)
def test_thresholds_on_snippet_scores(shared, method, group, videos, prefix, inputs, shortest, outer_weight, limit):
    """In these methods a proposal ends one snippet after its run."""
    golden = recording(shared, method)
    for index in range(videos):
        scores, activations = (golden[f"{index}/{prefix}{name}"] for name in inputs)
        parts = []
        for c in admitted_classes(scores[:-1], golden[f"{group}class_threshold"], at_least_one=False):
            start, end = runs_above(activations[:, c], golden[f"{group}thresholds"], shortest)
            (score,) = inner_outer_contrast(activations[:, [c]], start, end, 0.25, outer_weight=outer_weight, overrun=1)
            parts.append(make_segments(0, c, start, end + 1, score))
        candidates = concatenate(parts)
        assert_rows(candidates, golden[f"{index}/{prefix}candidates"])
        proposals = hard_nms(candidates[::-1], limit, pixels=True, overlap=covered_share)
        assert_rows(proposals, golden[f"{index}/{prefix}proposals"])


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_mean_inside_runs_and_nms_by_tiou(shared, stream):
    """GRN on one stream: a proposal scores by the mean inside the run alone."""
    golden = recording(shared, "grn")
    for index in range(len(golden["meta/lengths"])):
        refined, parts = golden[f"{index}/{stream}_refined"].astype(np.float64), []
        for c in np.flatnonzero(refined.mean(axis=0) > 0.1):
            start, end = runs_above(refined[:, c], golden["meta/thresholds"])
            (score,) = inner_outer_contrast(refined[:, [c]], start, end, 0.25, outer_weight=0.0)
            parts.append(make_segments(0, c, start, end, score))
        proposals = hard_nms(concatenate(parts), 0.5, pixels=False)
        assert_rows(proposals, golden[f"{index}/{stream}_proposals"][:, [1, 2, 0, 3]])


@pytest.mark.parametrize(("method", "stream", "limit"), [("grn", "fused", 0.5)])
def test_hard_nms_of_recorded_candidates(shared, method, stream, limit):
    golden = recording(shared, method)
    for index in range(len(golden["meta/lengths"])):
        label, start, end, score = golden[f"{index}/{stream}_candidates"].T
        proposals = hard_nms(make_segments(0, label, start, end, score), limit, pixels=False)
        assert_rows(proposals, golden[f"{index}/{stream}_proposals"][:, [1, 2, 0, 3]])
