"""A run on the videos that it was trained on: the segments from which a second stage learns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax import processes
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import evaluate, localize
from tsc_jax.evaluation.protocols import FLOOR
from tsc_jax.files import check_folder
from tsc_jax.inference import Inference, make_inference
from tsc_jax.report.run import changes_results
from tsc_jax.training.trained import open_trained, seed_folders, with_dataset

PREDICTIONS, METRICS = "predictions_train.json", "metrics_train.json"
TRAINED_ON = "the network was trained on these videos: this is no result of a test"
WITHOUT = f"other settings than those of the run: --output=DIR writes {PREDICTIONS}"


def report_training_videos(workdir: Path, changes: Mapping[str, Any], output: Path | None = None) -> str:
    """Localizes the actions in the training videos with the last step of a run, or of the run of each of several seeds.

    Writes predictions_train.json and, where a training video has a segment, metrics_train.json: into `output`, else
    into `workdir` unless `changes` to the recipe may change the results. Returns the mAP of the annotated segments as a
    table. Raises InputError as `tsc_jax.report.run.report` does.
    """
    seeds, inference, lines = seed_folders(workdir), None, []
    target = output or (None if changes_results(changes) else workdir)
    for folder in seeds or [workdir]:
        own = target and (target / folder.name if seeds else target)
        shown, inference = _report_run(folder, changes, own, inference)
        lines += [folder.name, shown] if seeds else [shown]
    return "\n".join([*lines, *([] if target else [WITHOUT])])


def _report_run(
    workdir: Path, changes: Mapping[str, Any], target: Path | None, inference: Inference | None
) -> tuple[str, Inference]:
    """Writes the files of one run; returns its table, and `inference`, which is made if it is None."""
    writes = target is not None and processes.is_first()
    if writes:
        check_folder(str(target), target)
    trained, dataset = with_dataset(open_trained(workdir), changes)
    inference, split, config = inference or make_inference(trained.config, trained.sizes), dataset.train, trained.config
    about = f"{config.data.name}, {len(split.videos)} training videos"
    if split.has_segments:
        evaluation = evaluate(inference, trained.variables, trained.step, dataset, split, config)
        metrics, found = evaluation.metrics, evaluation.predictions
        rows = {FLOOR: evaluation.floor, f"training videos (step {trained.step})": np.array(metrics["mAP"])}
        shown = f"{results.table(metrics['tiou'], rows)}\n{about}, protocol {metrics['protocol']}; {TRAINED_ON}"
    else:
        metrics, found = None, localize(inference, trained.variables, split, config).segments
        shown = f"{about}, of which none has a segment, so there is no mAP"
    if writes:
        target.mkdir(parents=True, exist_ok=True)
        names = [video.name for video in split.videos]
        results.write_predictions(target / PREDICTIONS, found, names, dataset.classes)
        if metrics:
            results.write_json(target / METRICS, metrics | {"selection": trained.selection, "subset": "train"})
    return shown, inference
