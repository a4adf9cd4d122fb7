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
    """Writes report.html, a page that is one file, about an evaluation of the test videos.

    `metrics` is the content of metrics.json. If the file `scalars`, scalars.jsonl of the run, is missing, the page says
    so. The sections `extra` of the method come after all others.
    """
    rate, protocol, truth = dataset.snippets_per_second, metrics["protocol"], ground_truth(dataset.test)
    threshold = min(metrics["tiou"], key=lambda tiou: abs(tiou - 0.5))
    both = protocols.to_protocol(truth, evaluation.predictions, rate, protocol)
    compared = (*both, threshold, len(dataset.classes))
    curves = read_scalars(scalars)
    shown = [
        sections.mean_ap(evaluation, metrics, dataset.test, rate),
        sections.map_over_steps(curves),
        sections.losses(curves),
        sections.classes(compared, dataset.classes),
        sections.errors(compared, dataset.classes),
        sections.lengths(compared, 1.0 if protocol == "seconds" else 1 / rate),
        sections.videos(compared, evaluation.predictions, dataset),
        *extra,
    ]
    place = metrics["tiou"].index(threshold)
    missed = len(truth) - len(np.setdiff1d(diagnosis.found_instances(*compared), [-1]))
    write_page(
        folder / "report.html",
        "report.html",
        title=f"{dataset.name}: {metrics['selection']}, step {metrics['step']}",
        facts=f"{len(dataset.test.videos)} test videos, protocol {protocol}; numbers without a threshold"
        f" are at tIoU {threshold:g}.",
        tiles={
            "average mAP, all tIoUs": f"{metrics['average_mAP']['all']:.1f}",
            f"mAP at {threshold:g}": f"{metrics['mAP'][place]:.1f}",
            f"its floor at {threshold:g}": f"{evaluation.floor[place]:.1f}",
            "classification mAP": f"{metrics['classification_mAP']:.1f}",
            "instances never found": f"{missed} of {len(truth)}",
        },
        sections=[section for section in shown if section is not None],
    )
