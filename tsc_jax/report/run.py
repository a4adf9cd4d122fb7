"""The report of a run, or of several seeds: the results of each kept checkpoint, as files, pictures and a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax import methods, processes
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import Evaluation, evaluate, ground_truth
from tsc_jax.inference import Inference, make_inference
from tsc_jax.report.figures import draw_video
from tsc_jax.report.training_report import write_training_report
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import open_trained, seed_folders, selections_of, with_dataset

FLOOR = "floor: true labels, whole videos"


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of a run on the test videos.

    Attributes:
      floor: mAP in percent at each tIoU of knowing the labels alone.
      metrics: the content of metrics.json, by selection (see `checkpoints`).
      notes: sentences on the videos and weights behind the numbers.
    """

    floor: np.ndarray
    metrics: dict[str, dict]
    notes: list[str]


def report(workdir: Path, changes: Mapping[str, Any]) -> str:
    """Evaluates every kept checkpoint of a run, or of the runs of several seeds, on the test videos.

    Writes metrics.json, predictions.json, report.html and figures/ of the last step into `workdir`, those of the
    best steps into `workdir`/best_on_holdout (where there is a holdout) and `workdir`/best_on_test.
    Each of several seeds has its own folder in `workdir`; seeds.json holds their mean and standard deviation.

    Args:
      workdir: of launch.train.
      changes: config values other than those trained with, "eval.protocol" for example.

    Returns:
      A table of mAP, the floor beside it; for several seeds one table for each selection.

    Raises:
      InputError: no checkpoint there, or other data than it was trained on.
    """
    folders = seed_folders(workdir)
    if not folders:
        of_run, _ = report_run(Path(workdir), changes, None)
        return "\n".join([table_of_run(of_run), *of_run.notes])
    reports, inference = {}, None
    for folder in folders:
        reports[folder.name], inference = report_run(folder, changes, inference)
    if processes.is_first():
        runs = {name: each.metrics for name, each in reports.items()}
        results.write_json(Path(workdir, "seeds.json"), summarise(runs))
    return "\n".join([tables_of_seeds(reports), *reports[folders[0].name].notes])


def report_run(workdir: Path, changes: Mapping[str, Any], inference: Inference | None) -> tuple[Report, Inference]:
    """Evaluates every kept checkpoint of one run, then writes the results.

    `inference` is that of an earlier run of the same recipe; None: it is made, and returned for the next one.
    """
    evaluated = []
    for selection in selections_of(workdir) or [checkpoints.LAST]:
        trained, dataset = with_dataset(open_trained(workdir, selection), changes)
        inference = inference or make_inference(trained.config, trained.sizes)
        evaluation = evaluate(inference, trained.variables, trained.step, dataset, dataset.test, trained.config)
        evaluated.append((selection, trained, evaluation, evaluation.metrics | {"selection": trained.selection}))
    # Written last: no process waits for process 0 between two evaluations.
    for selection, trained, evaluation, metrics in evaluated if processes.is_first() else ():
        folder = workdir if selection == checkpoints.LAST else workdir / selection
        module = methods.part(trained.config.method, "report")
        write_report(folder, evaluation, metrics, dataset, trained.config.eval.figures)
        sections = module.sections(trained, dataset) if module else []
        write_training_report(folder, evaluation, metrics, dataset, workdir / "scalars.jsonl", sections)
    config = trained.config
    facts = f"{config.data.name}, {len(dataset.test.videos)} test videos, protocol {config.eval.protocol}"
    notes = [facts, *unseen_videos(dataset.test, config.data.min_snippets), *origin(trained.about)]
    return Report(evaluation.floor, {selection: metrics for selection, *_, metrics in evaluated}, notes), inference


def table_of_run(report: Report) -> str:
    """A table of mAP with a row for each selection."""
    rows = {FLOOR: report.floor}
    for metrics in report.metrics.values():
        rows[f"{metrics['selection']} (step {metrics['step']})"] = np.array(metrics["mAP"])
    return results.table(metrics["tiou"], rows)


def tables_of_seeds(reports: Mapping[str, Report]) -> str:
    """A table for each selection: mAP of each run, with mean and standard deviation."""
    tables = []
    for selection in common_selections([report.metrics for report in reports.values()]):
        rows = {}
        for name, report in reports.items():
            metrics = report.metrics[selection]
            rows[f"{metrics['selection']} (step {metrics['step']}), {name}"] = np.array(metrics["mAP"])
        floor = {FLOOR: report.floor}
        tables.append(results.table(metrics["tiou"], floor | rows, sample=list(rows)))
    return "\n\n".join(tables)


def common_selections(runs: Sequence[Mapping[str, dict]]) -> list[str]:
    """The selections of which all runs have a checkpoint."""
    return [selection for selection in checkpoints.SELECTIONS if all(selection in run for run in runs)]


def summarise(runs: Mapping[str, Mapping[str, dict]]) -> dict[str, Any]:
    """Metrics by run and selection -> by selection those of each run, with mean and standard deviation of a sample."""
    summary = {}
    for selection in common_selections(list(runs.values())):
        metrics = {name: of_run[selection] for name, of_run in runs.items()}
        columns = {"mAP": [each["mAP"] for each in metrics.values()]}
        for name in next(iter(metrics.values()))["average_mAP"]:
            columns[f"average_mAP@{name}"] = [each["average_mAP"][name] for each in metrics.values()]
        columns["classification_mAP"] = [each["classification_mAP"] for each in metrics.values()]
        summary[selection] = {"runs": metrics} | {
            name: {"mean": np.mean(rows, axis=0).tolist(), "standard_deviation": np.std(rows, axis=0, ddof=1).tolist()}
            for name, rows in columns.items()
        }
    return summary


def unseen_videos(split: Split, min_snippets: int) -> list[str]:
    """A sentence about the videos that are too short to be used, if there are any."""
    short = [video for video in split.videos if video.num_snippets < min_snippets]
    if not short:
        return []
    instances = sum(len(video.segments) for video in short)
    return [
        f"{len(short)} of these videos have fewer than {min_snippets} snippets (config.data.min_snippets) and got no"
        f" predictions; their {instances} instances count all the same"
    ]


def origin(about: Mapping[str, Any]) -> list[str]:
    """A sentence about imported weights, whose training data are not known."""
    if about["data_fingerprint"] is not None:
        return []
    return [f"weights imported from {about['imported']['file']}: the data that they were trained on are not known"]


def write_report(folder: Path, evaluation: Evaluation, metrics: Mapping, dataset: Dataset, figures: int) -> None:
    """Writes metrics.json, predictions.json and `figures` pictures of test videos into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(folder / "metrics.json", metrics)
    names = [video.name for video in dataset.test.videos]
    results.write_predictions(folder / "predictions.json", evaluation.predictions, names, dataset.classes)
    (folder / "figures").mkdir(exist_ok=True)
    for index in drawn_videos(dataset.test, evaluation, figures):
        of_video = (
            segments[segments.video == index] for segments in (ground_truth(dataset.test), evaluation.predictions)
        )
        draw_video(
            folder / "figures" / f"{names[index].replace('/', '_')}.png",
            f"{names[index]}   {metrics['selection']}, step {metrics['step']}",
            dataset.classes,
            *of_video,
            evaluation.outputs[index]["cas"],
            evaluation.outputs[index]["attention"],
            dataset.snippets_per_second,
        )


def drawn_videos(split: Split, evaluation: Evaluation, number: int) -> list[int]:
    """`number` videos, evenly spread over the split by name, of those that the network saw."""
    seen = [index for index in range(len(split.videos)) if evaluation.outputs[index] is not None]
    return [seen[place] for place in np.linspace(0, len(seen) - 1, min(number, len(seen))).astype(int)]
