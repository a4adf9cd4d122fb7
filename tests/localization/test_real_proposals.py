"""On real detections, suppression, density and fusion give the figures that an independent program measured."""

import numpy as np
import pytest

from tests import thumos14
from tsc_jax.evaluation import results
from tsc_jax.evaluation.detection import mean_average_precision
from tsc_jax.evaluation.headroom import label_quality
from tsc_jax.localization.density import by_density
from tsc_jax.localization.fusion import gaussian_fusion, ricker_fusion
from tsc_jax.localization.nms import hard_nms, soft_nms

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ROUNDED = 0.0501  # the figures have one decimal


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Ground truth and proposals."""
    path = tmp_path_factory.mktemp("thumos14") / "ground_truth.json"
    thumos14.write_ground_truth(shared, path)
    truth = results.read_ground_truth(path)
    return truth, results.read_predictions(thumos14.proposals_file(shared), truth.videos, truth.classes)[0]


def density(power):
    return lambda several: soft_nms(by_density(several, power), 0.3, pixels=False)


# What is done, and mAP: means over all tIoUs and over 0.3:0.7.
MEASURED = {
    "released": (lambda several: several, 9.8, None),
    "hard NMS 0.3": (lambda several: hard_nms(several, 0.3, pixels=False), 35.8, None),
    "hard NMS 0.5": (lambda several: hard_nms(several, 0.5, pixels=False), 35.9, None),
    "soft-NMS 0.3": (lambda several: soft_nms(several, 0.3, pixels=False), 37.8, 28.9),
    "soft-NMS 0.5": (lambda several: soft_nms(several, 0.5, pixels=False), 37.8, 29.1),
    "density 0.1": (density(0.1), 38.4, 29.6),
    "density 0.25": (density(0.25), 38.5, 29.8),
    "density 0.5": (density(0.5), 38.5, 29.9),
}


@pytest.mark.parametrize("name", MEASURED)
def test_recorded_map(real, name):
    change, everything, upper = MEASURED[name]
    truth, proposals = real
    mean_ap = 100 * mean_average_precision(truth.segments, change(proposals), TIOUS, len(truth.classes))
    # Hundreds of pairs overlap by exactly a half, and rounding decides whether that is above the limit.
    assert mean_ap.mean() == pytest.approx(everything, abs=0.4 if name == "hard NMS 0.5" else ROUNDED)
    if upper is not None:
        assert mean_ap[2:].mean() == pytest.approx(upper, abs=ROUNDED)


# The F1 of the segments above a score at tIoU 0.3, 0.5, 0.7, and how exactly each figure is met: the recorded waves
# were added on another grid.
FUSED = {
    "gaussian": (lambda several: gaussian_fusion(several, relative=False), 0.4, (55.2, 41.1, 21.1), 0.1),
    "gaussian, relative": (gaussian_fusion, 0.4, (55.2, 41.1, 21.1), 0.2),
    "ricker": (ricker_fusion, 0.3, (56.8, 40.4, 20.4), 0.55),
}


@pytest.mark.parametrize("name", FUSED)
def test_recorded_quality_of_pseudo_labels(real, name):
    fuse, least, expected, tolerance = FUSED[name]
    truth, proposals = real
    fused = fuse(proposals)
    quality = label_quality(truth.segments, fused[fused.score > least], (0.3, 0.5, 0.7), len(truth.classes))
    np.testing.assert_allclose(100 * quality.f1, expected, atol=tolerance)
