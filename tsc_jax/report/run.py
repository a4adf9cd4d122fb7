"""The report of a run, or of several seeds: what each kept checkpoint reaches, as files, pictures and a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from tsc_jax import processes
from tsc_jax.data.dataset import Dataset, Split, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import Evaluation, evaluate, ground_truth
from tsc_jax.inference import Forward, make_forward
from tsc_jax.methods.tscnet.bank_attention import class_attention
from tsc_jax.methods.tscnet.bank_section import bank_section
from tsc_jax.methods.tscnet.train_step import for_inference
from tsc_jax.report.figures import draw_video
from tsc_jax.report.training_report import write_training_report
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.replicas import seed_folders

FLOOR = "floor: true labels, whole videos"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run reaches on the test videos.

    Attributes:
      floor: mAP in percent at each tIoU of knowing the labels alone.
      metrics: what metrics.json holds, by selection (see `checkpoints`).
      notes: sentences on what the numbers are of.
    """

    floor: np.ndarray
    metrics: dict[str, dict]
    notes: list[str]


def report(workdir: Path, changes: Mapping[str, Any]) -> str:
    """Evaluates every kept checkpoint of a run, or of the runs of several seeds, on the test videos.

    Writes metrics.json, predictions.json, report.html and figures/ of the last step into `workdir`, those of the
    best steps into `workdir`/best_on_holdout (where there is a holdout) and `workdir`/best_on_test.
    Several seeds have each their own folder in `workdir`; seeds.json tells their mean and standard deviation.

    Args:
      workdir: of launch.train.
      changes: config values other than those trained with, "eval.protocol" for example.

    Returns:
      A table of mAP, the floor beside it; for several seeds one for each selection.

    Raises:
      InputError: no checkpoint there, or the data is not that which it was trained on.
    """
    seeds = seed_folders(workdir)
    config, dataset = open_run(seeds[0] if seeds else workdir, changes)
    forward = make_forward(config.model, len(dataset.classes), dataset.width)
    if not seeds:
        of_run = report_run(workdir, config, dataset, forward)
        return "\n".join([table_of_run(of_run), *of_run.notes])
    reports = {folder.name: report_run(folder, config, dataset, forward) for folder in seeds}
    results.write_json(Path(workdir, "seeds.json"), summarise({name: each.metrics for name, each in reports.items()}))
    return "\n".join([tables_of_seeds(reports), *reports[seeds[0].name].notes])


def report_run(workdir: Path, config: ml_collections.ConfigDict, dataset: Dataset, forward: Forward) -> Report:
    """Evaluates every kept checkpoint of one run and writes what they give."""
    template = state_template(config, len(dataset.classes), dataset.width)
    floor, metrics, about = None, {}, {}
    for selection in checkpoints.SELECTIONS:
        manager = checkpoints.find_checkpoints(workdir, selection)
        if manager is None:
            continue
        about = checkpoints.read_about(manager)
        checkpoints.check_data(checkpoints.about_run(config, dataset), about, workdir)
        state = checkpoints.restore(manager, template)
        evaluation = evaluate(forward, state, dataset, dataset.test, config)
        floor = evaluation.floor
        metrics[selection] = evaluation.metrics | {"selection": selection.replace("_", " ")}
        folder = Path(workdir) if selection == checkpoints.LAST else Path(workdir, selection)
        if processes.is_first():
            write_report(folder, evaluation, metrics[selection], dataset, config.eval.figures)
            seen = None
            # A pass over the videos of its own, so for the last step alone.
            if selection == checkpoints.LAST and config.model.dsa:
                seen = class_attention(config, state, dataset, dataset.test)
            bank = bank_section(np.asarray(for_inference(state).bank.rows), seen, dataset.classes)
            scalars = Path(workdir, "scalars.jsonl")
            write_training_report(folder, evaluation, metrics[selection], dataset, scalars, [bank])
    facts = f"{config.data.name}, {len(dataset.test.videos)} test videos, protocol {config.eval.protocol}"
    notes = [facts, *unseen_videos(dataset.test, config.data.min_snippets), *origin(about)]
    return Report(floor, metrics, notes)


def table_of_run(report: Report) -> str:
    """mAP of every selection."""
    rows = {FLOOR: report.floor}
    for metrics in report.metrics.values():
        rows[f"{metrics['selection']} (step {metrics['step']})"] = np.array(metrics["mAP"])
    return results.table(metrics["tiou"], rows)


def tables_of_seeds(reports: Mapping[str, Report]) -> str:
    """For every selection mAP of each run, with mean and standard deviation."""
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
    """The selections that all runs have."""
    return [selection for selection in checkpoints.SELECTIONS if all(selection in run for run in runs)]


def summarise(runs: Mapping[str, Mapping[str, dict]]) -> dict[str, Any]:
    """Metrics by run and selection -> by selection those of each run, with mean and standard deviation of a sample."""
    summary = {}
    for selection in common_selections(list(runs.values())):
        metrics = {name: of_run[selection] for name, of_run in runs.items()}
        columns = {"mAP": [each["mAP"] for each in metrics.values()]}
        for name, value in next(iter(metrics.values()))["average_mAP"].items():
            if value is not None:
                columns[f"average_mAP@{name}"] = [each["average_mAP"][name] for each in metrics.values()]
        columns["classification_mAP"] = [each["classification_mAP"] for each in metrics.values()]
        summary[selection] = {"runs": metrics} | {
            name: {"mean": np.mean(rows, axis=0).tolist(), "standard_deviation": np.std(rows, axis=0, ddof=1).tolist()}
            for name, rows in columns.items()
        }
    return summary


def unseen_videos(split: Split, min_snippets: int) -> list[str]:
    """A sentence on the videos too short to be used, if there are any."""
    short = [video for video in split.videos if video.num_snippets < min_snippets]
    if not short:
        return []
    instances = sum(len(video.segments) for video in short)
    return [
        f"{len(short)} of these videos have fewer than {min_snippets} snippets (config.data.min_snippets) and got no"
        f" predictions; their {instances} instances count all the same"
    ]


def origin(about: Mapping[str, Any]) -> list[str]:
    """A sentence on weights whose training data are not known, if these are such."""
    if about["data_fingerprint"] is not None:
        return []
    return [f"weights imported from {about['imported']['file']}: what they were trained on is not known"]


def open_run(workdir: Path, changes: Mapping[str, Any]) -> tuple[ml_collections.ConfigDict, Dataset]:
    """The config of a run, changed, and its data set."""
    manager = checkpoints.find_checkpoints(workdir, checkpoints.LAST)
    if manager is None:
        raise InputError(f"--workdir {workdir}: holds no checkpoint of launch.train")
    config = ml_collections.ConfigDict(checkpoints.read_about(manager)["config"])
    config.update_from_flattened_dict(changes)
    return config, open_dataset(config.data.data_dir, config.data.name)


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
            evaluation.cas[index],
            evaluation.attention[index],
            dataset.snippets_per_second,
        )


def drawn_videos(split: Split, evaluation: Evaluation, number: int) -> list[int]:
    """`number` videos, evenly spread over the split by name, of those that the network saw."""
    seen = [index for index in range(len(split.videos)) if evaluation.cas[index] is not None]
    return [seen[place] for place in np.linspace(0, len(seen) - 1, min(number, len(seen))).astype(int)]
