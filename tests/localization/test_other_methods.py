"""The toolbox is enough for other methods: it rebuilds what was recorded of GRN."""

import numpy as np
import pytest

from tsc_jax.localization.contrast import inner_outer_contrast
from tsc_jax.localization.nms import hard_nms
from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import concatenate, make_segments


def recording(shared, method):
    return np.load(shared / "methods" / method / "golden" / "proposals.npz")


def assert_rows(segments, expected):
    rows = np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-12)


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
