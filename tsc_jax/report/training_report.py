"""report.html: how a run went, what it reaches, and where it loses mAP; docs/reading-the-report.md explains it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data.dataset import Dataset
from tsc_jax.evaluation import diagnosis, protocols
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth
from tsc_jax.report import sections
from tsc_jax.report.page import write_page
from tsc_jax.training.log import read_scalars


def write_training_report(
    folder: Path,
    evaluation: Evaluation,
    metrics: Mapping,
    dataset: Dataset,
    scalars: Path,
    extra: Sequence[sections.Section] = (),
) -> None:
    """Writes report.html, a page that is one file.

    Args:
      folder: where to write it.
      evaluation: of the test videos.
      metrics: what metrics.json holds.
      dataset: the data set of these test videos.
      scalars: scalars.jsonl of the run; if that file is missing, the page says so.
      extra: sections of the method, after all others.
    """
    protocol = (dataset.snippets_per_second, metrics["protocol"])
    truth = protocols.to_protocol(ground_truth(dataset.test), *protocol)
    predictions = protocols.to_protocol(evaluation.predictions, *protocol, predicted=True)
    threshold = min(metrics["tiou"], key=lambda tiou: abs(tiou - 0.5))
    compared = (truth, predictions, threshold, len(dataset.classes))
    unit = 1.0 if metrics["protocol"] == "seconds" else 1 / dataset.snippets_per_second
    curves = read_scalars(scalars)
    shown = [
        sections.mean_ap(evaluation, metrics, dataset.test, dataset.snippets_per_second),
        sections.map_over_steps(curves),
        sections.losses(curves),
        sections.classes(compared, dataset.classes),
        sections.errors(compared, dataset.classes),
        sections.lengths(compared, unit),
        sections.videos(compared, evaluation.predictions, dataset),
        *extra,
    ]
    write_page(
        folder / "report.html",
        "report.html",
        title=f"{dataset.name}: {metrics['selection']}, step {metrics['step']}",
        facts=f"{len(dataset.test.videos)} test videos, protocol {metrics['protocol']}; numbers without a threshold"
        f" are at tIoU {threshold:g}.",
        tiles=tiles(compared, evaluation, metrics),
        sections=[section for section in shown if section is not None],
    )


def tiles(compared: tuple, evaluation: Evaluation, metrics: Mapping) -> dict[str, str]:
    """Returns the most important numbers by name; `compared` as in `sections`."""
    truth, _, threshold, _ = compared
    place = metrics["tiou"].index(threshold)
    missed = len(truth) - len(np.setdiff1d(diagnosis.found_instances(*compared), [-1]))
    return {
        "average mAP, all tIoUs": f"{metrics['average_mAP']['all']:.1f}",
        f"mAP at {threshold:g}": f"{metrics['mAP'][place]:.1f}",
        f"its floor at {threshold:g}": f"{evaluation.floor[place]:.1f}",
        "classification mAP": f"{metrics['classification_mAP']:.1f}",
        "instances never found": f"{missed} of {len(truth)}",
    }
