"""The report of a run, or of several seeds: the results of each kept checkpoint, as files, pictures and a table."""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import tsc_jax
from tsc_jax import methods, processes
from tsc_jax.data.dataset import Dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols, results
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.evaluate import Evaluation, evaluate, ground_truth, localize
from tsc_jax.evaluation.protocols import FLOOR
from tsc_jax.files import check_folder, file_names, open_path
from tsc_jax.inference import Inference, make_inference
from tsc_jax.report.figures import draw_videos, save
from tsc_jax.report.sections import write_training_report
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained, seed_folders, selections_of, with_dataset

NO_MAP = "no test video has a segment, so there is no mAP; predictions.json holds what the last step found"


class Report(NamedTuple):
    """The results of a run on the test videos."""

    floor: np.ndarray  # mAP in percent at each tIoU of knowing the labels alone
    metrics: dict[str, dict]  # the content of metrics.json, by selection (see `checkpoints`)
    notes: list[str]  # sentences on the videos and weights behind the numbers


# The evaluations of runs that were made while they trained, by folder and step.
Known = Mapping[Path, Mapping[int, Evaluation]]

UNCHANGED = (
    "other settings than those of the run: its own metrics.json, predictions.json, report.html and figures/ stay as"
    " they are; --output=DIR writes these"
)


def report(workdir: Path, changes: Mapping[str, Any], output: Path | None = None, known: Known | None = None) -> str:
    """Evaluates every kept checkpoint of a run, or of the runs of several seeds, on the test videos.

    Writes metrics.json, predictions.json, report.html and figures/ of the last step into `workdir`, those of the
    best steps into `workdir`/best_on_holdout (where there is a holdout) and `workdir`/best_on_test.
    Each of several seeds has its own folder in `workdir`; seeds.json holds their mean and standard deviation.

    Args:
      workdir: of the run.
      changes: config values other than those trained with, "eval.protocol" for example. If they change the results,
        nothing is written into `workdir`.
      output: folder to write into instead.
      known: evaluations that need not be made again.

    Returns:
      A table of mAP and its floor; for several seeds one table per selection. NO_MAP where no test video has a segment:
      then only predictions.json is written.

    Raises:
      InputError: there is no checkpoint, the data set is not the one of the training, nothing can be written.
    """
    workdir = open_path(workdir)
    seeds, reports, inference = seed_folders(workdir), {}, None
    target = output or (None if changes_results(changes) else workdir)
    for folder in seeds or [workdir]:
        own = target and (target / folder.name if seeds else target)
        evaluations = {} if changes_results(changes) else (known or {}).get(folder, {})
        reports[folder.name], inference = report_run(folder, changes, inference, own, evaluations)
    if None in reports.values():
        return NO_MAP
    runs = {name: of_run.metrics for name, of_run in reports.items()}
    if seeds and target and processes.is_first():
        results.write_json(target / "seeds.json", summarise(runs))
    floor, metrics, notes = next(iter(reports.values()))
    if seeds:
        selections = common_selections(runs)
        groups = [{f"{named(run[each])}, {name}": run[each] for name, run in runs.items()} for each in selections]
    else:
        groups = [{named(each): each for each in metrics.values()}]
    tables = [table(floor, rows, sample=list(rows) if seeds else ()) for rows in groups]
    return "\n".join(["\n\n".join(tables), *notes, *([] if target else [UNCHANGED])])


def changes_results(changes: Mapping[str, Any]) -> bool:
    """Whether some of these config values may change the results of a run."""
    return bool(changes.keys() - {"data.data_dir"})


def side_by_side(workdirs: Sequence[Path], changes: Mapping[str, Any]) -> str:
    """Evaluates the last steps of several runs on one data set; returns one table, a row per run.

    Writes into each workdir what `report` does, unless `changes` may change the results. Raises InputError for runs of
    several seeds, and of different data.
    """
    reports = {}
    for workdir in workdirs:
        trained = open_trained(workdir)
        first = next(iter(reports.values()))[0] if reports else trained
        check_comparable(first, trained)
        target = None if changes_results(changes) else workdir
        reports[workdir] = trained, report_run(workdir, changes, None, target, {})[0]
        if reports[workdir][1] is None:
            raise InputError(f"--workdir {workdir}: {NO_MAP}, expected annotated test videos")
    rows = {f"{path}: {named(each.metrics['last'])}": each.metrics["last"] for path, (_, each) in reports.items()}
    _, last = next(iter(reports.values()))
    return "\n".join([table(last.floor, rows), *last.notes])


def check_comparable(first: Trained, other: Trained) -> None:
    """Raises InputError where two runs are evaluated on different data or by different settings."""
    for key in ("data.name", "eval.protocol", "eval.tiou"):
        section, name = key.split(".")
        one, two = first.config[section][name], other.config[section][name]
        if one != two:
            raise InputError(
                f"--workdir {other.directory}: has config.{key} {two}, but {first.directory} has {one}; expected runs"
                " that are evaluated alike"
            )


def report_run(
    workdir: Path,
    changes: Mapping[str, Any],
    inference: Inference | None,
    target: Path | None,
    known: Mapping[int, Evaluation],
) -> tuple[Report | None, Inference]:
    """Evaluates every kept checkpoint of one run, each step once, then writes the results into `target` if it is given.

    Returns no report where no test video has a segment.

    `inference` is that of an earlier run of the same recipe; None: it is made, and returned for the next one. `known`
    are evaluations that were made already, by step.
    """
    if target and processes.is_first():
        check_folder(str(target), target)
    evaluated, of_steps = [], dict(known)
    for selection in selections_of(workdir) or [checkpoints.LAST]:
        trained, dataset = with_dataset(open_trained(workdir, selection), changes)
        inference = inference or make_inference(trained.config, trained.sizes)
        if not dataset.test.has_segments:
            found = localize(inference, trained.variables, dataset.test, trained.config).segments
            if target and processes.is_first():
                target.mkdir(parents=True, exist_ok=True)
                names = [video.name for video in dataset.test.videos]
                results.write_predictions(target / "predictions.json", found, names, dataset.classes)
            return None, inference
        if trained.step not in of_steps:
            of_steps[trained.step] = evaluate(
                inference, trained.variables, trained.step, dataset, dataset.test, trained.config
            )
        evaluation = of_steps[trained.step]
        evaluated.append((selection, trained, evaluation, evaluation.metrics | {"selection": trained.selection}))
    # Written last: no process waits for process 0 between two evaluations.
    for selection, trained, evaluation, metrics in evaluated if target and processes.is_first() else ():
        folder = target if selection == checkpoints.LAST else target / selection
        module = methods.part(trained.config.method, "report")
        write_report(folder, evaluation, metrics, dataset, trained.config.eval.figures)
        sections = module.sections(trained, dataset) if module else []
        scalars, origin = workdir / "scalars.jsonl", origin_of(trained, dataset)
        write_training_report(folder, evaluation, metrics, dataset, scalars, sections, origin)
    by_selection = {selection: metrics for selection, *_, metrics in evaluated}
    return Report(evaluation.floor, by_selection, list(notes_on(trained, dataset))), inference


def named(metrics: Mapping) -> str:
    """Returns the name of an evaluated checkpoint, "last (step 300)" for example."""
    return f"{metrics['selection']} (step {metrics['step']})"


def table(floor: np.ndarray, metrics: Mapping[str, Mapping], sample: Sequence[str] = ()) -> str:
    """Formats the content of metrics.json by name of the row, below the floor; see `results.table`."""
    rows = {FLOOR: floor} | {name: np.array(each["mAP"]) for name, each in metrics.items()}
    return results.table(next(iter(metrics.values()))["tiou"], rows, sample=sample)


def common_selections(runs: Mapping[str, Mapping[str, dict]]) -> list[str]:
    """Returns the selections of which all runs have a checkpoint."""
    return [selection for selection in checkpoints.SELECTIONS if all(selection in run for run in runs.values())]


def summarise(runs: Mapping[str, Mapping[str, dict]]) -> dict[str, Any]:
    """Metrics by run and selection -> by selection those of each run, with mean and standard deviation of a sample."""
    summary = {}
    for selection in common_selections(runs):
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


def origin_of(trained: Trained, dataset: Dataset) -> dict[str, str]:
    """Facts by name that tell which run an evaluation is of: time, run, data, versions, recipe."""
    config = trained.config
    written = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return {
        "evaluated": written,
        "run": f"{trained.directory.resolve().name}, method {config.method}, seed {config.train.seed}",
        "data": f"{config.data.name} in {config.data.data_dir}, {len(dataset.train.videos)} training videos",
        "versions": f"tsc_jax {tsc_jax.__version__}, jax {jax.__version__}",
        "recipe": json.dumps(json.loads(config.to_json()), indent=1),
    }


def notes_on(trained: Trained, dataset: Dataset) -> Iterator[str]:
    """Yields sentences on the test videos, those that are too short to be used, and weights from unknown data."""
    data, videos = trained.config.data, dataset.test.videos
    yield f"{data.name}, {len(videos)} test videos, protocol {trained.config.eval.protocol}"
    if short := [video for video in videos if video.num_snippets < data.min_snippets]:
        yield (
            f"{len(short)} of these videos have fewer than {data.min_snippets} snippets (config.data.min_snippets) and"
            f" got no predictions; their {sum(len(video.segments) for video in short)} instances count all the same"
        )
    if trained.about["data_fingerprint"] is None:
        file = trained.about["imported"]["file"]
        yield f"weights imported from {file}: the data that they were trained on are not known"


def precisions_by_class(evaluation: Evaluation, metrics: Mapping, dataset: Dataset) -> dict[str, list[float]]:
    """Returns the AP in percent at each tIoU of every class that the test videos show, by its name."""
    truth, clock = ground_truth(dataset.test), dataset.test.clock
    compared = protocols.to_protocol(truth, evaluation.predictions, clock, metrics["protocol"])
    precisions = 100 * average_precisions(*compared, metrics["tiou"], len(dataset.classes))
    columns = zip(dataset.classes, precisions.T.tolist(), strict=True)
    return {name: column for name, column in columns if not np.isnan(column).any()}


def write_report(folder: Path, evaluation: Evaluation, metrics: Mapping, dataset: Dataset, figures: int) -> None:
    """Writes metrics.json, predictions.json and `figures` pictures of test videos, spread evenly, into `folder`."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    of_classes = {"AP": precisions_by_class(evaluation, metrics, dataset)}
    results.write_json(folder / "metrics.json", dict(metrics) | of_classes)
    names = [video.name for video in dataset.test.videos]
    results.write_predictions(folder / "predictions.json", evaluation.predictions, names, dataset.classes)
    files = dict(zip(names, file_names(names, ".png"), strict=True))
    for name, figure in draw_videos(evaluation, dataset, figures, f"{metrics['selection']}, step {metrics['step']}"):
        save(figure, folder / "figures" / files[name])
