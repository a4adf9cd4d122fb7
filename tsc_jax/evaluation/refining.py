"""Implements launch.refine: density, suppression and fusion of the predictions of any results file."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tsc_jax.evaluation import results
from tsc_jax.evaluation.detection import mean_average_precision
from tsc_jax.evaluation.headroom import label_quality
from tsc_jax.evaluation.rescore import Request, comparable
from tsc_jax.localization.density import by_density
from tsc_jax.localization.fusion import gaussian_fusion, ricker_fusion
from tsc_jax.localization.groups import best_scores
from tsc_jax.localization.nms import hard_nms, soft_nms
from tsc_jax.localization.segments import Segments


class Steps(NamedTuple):
    """What happens to the predictions, in this order; None: the step is left out."""

    density: float | None = None  # power of `by_density`
    soft_nms: float | None = None  # sigma
    hard_nms: float | None = None  # largest tIoU with a better prediction
    pixels: bool = False  # whether NMS takes lengths as end - start + 1
    fusion: str | None = None  # "gaussian" or "ricker"
    cover: float = 0.25  # of `gaussian_fusion`, and the two below
    temperature: float = 0.2
    relative: bool = True
    min_score: float | None = None  # of the predictions that stay
    min_share: float | None = None  # likewise, as a share of the best score of the video and class


def refine(segments: Segments, steps: Steps) -> Segments:
    """Takes the steps one after the other; times are in any unit."""
    if steps.density is not None:
        segments = by_density(segments, steps.density)
    if steps.soft_nms is not None:
        segments = soft_nms(segments, steps.soft_nms, pixels=steps.pixels)
    if steps.hard_nms is not None:
        segments = hard_nms(segments, steps.hard_nms, pixels=steps.pixels)
    if steps.fusion == "gaussian":
        segments = gaussian_fusion(segments, cover=steps.cover, temperature=steps.temperature, relative=steps.relative)
    if steps.fusion == "ricker":
        segments = ricker_fusion(segments)
    if steps.min_share is not None:
        segments = segments[segments.score >= steps.min_share * best_scores(segments)]
    if steps.min_score is not None:
        segments = segments[segments.score >= steps.min_score]
    return segments


def refine_file(source: Path, target: Path, steps: Steps) -> tuple[int, int]:
    """Refines the predictions of a results file and writes them; returns how many they were before and after.

    Videos without predictions stay in the file. Raises InputError for an invalid file, before anything is written.
    """
    segments, videos, classes = results.read_all_predictions(source)
    refined = refine(segments, steps)
    results.write_predictions(target, refined, videos, classes)
    return len(segments), len(refined)


def comparison(requests: Mapping[str, Request], protocol: str) -> str:
    """Formats mAP and F1 as pseudo labels of several requests by name as two tables, the first one the baseline."""
    mean_ap, f1, baseline = {}, {}, next(iter(requests))
    for name, request in requests.items():
        truth, predictions, tious = comparable(request, protocol)
        number = len(request.truth.classes)
        mean_ap[name] = 100 * mean_average_precision(truth, predictions, tious, number)
        f1[name] = 100 * label_quality(truth, predictions, tious, number).f1
    measured = {"mAP (%)": mean_ap, "F1 (%)": f1}
    return "\n\n".join(results.table(tious, rows, baseline, measure=name) for name, rows in measured.items())
