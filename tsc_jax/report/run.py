"""The report of a run: what each of its checkpoints reaches, as files, pictures and a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, Split, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import Evaluation, evaluate, ground_truth
from tsc_jax.inference import make_forward
from tsc_jax.report.figures import draw_video
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template

FLOOR = "floor: true labels, whole videos"


def report_run(workdir: Path, changes: Mapping[str, Any]) -> str:
    """Evaluates every kept checkpoint of a run on the test videos.

    Writes metrics.json, predictions.json and figures/ of the last step into `workdir`, those of the
    best steps into `workdir`/best_on_holdout (where there is a holdout) and `workdir`/best_on_test.

    Args:
      workdir: of launch.train.
      changes: config values other than those trained with, "eval.protocol" for example.

    Returns:
      A table of mAP, the floor beside it.

    Raises:
      InputError: no checkpoint there, or the data is not that which it was trained on.
    """
    config, dataset, about = open_run(workdir, changes)
    forward = make_forward(config.model, len(dataset.classes), dataset.width)
    template = state_template(config, len(dataset.classes), dataset.width)
    rows = {}
    for selection in checkpoints.SELECTIONS:
        manager = checkpoints.find_checkpoints(workdir, selection)
        if manager is None:
            continue
        state = checkpoints.restore(manager, template)
        evaluation = evaluate(forward, state, dataset, dataset.test, config)
        named = f"{selection.replace('_', ' ')} (step {evaluation.metrics['step']})"
        rows |= {FLOOR: evaluation.floor, named: np.array(evaluation.metrics["mAP"])}
        folder = Path(workdir) if selection == checkpoints.LAST else Path(workdir, selection)
        write_report(folder, evaluation, dataset, selection, config.eval.figures)
    table = results.table(evaluation.metrics["tiou"], rows)
    facts = f"{config.data.name}, {len(dataset.test.videos)} test videos, protocol {config.eval.protocol}"
    notes = [*unseen_videos(dataset.test, config.data.min_snippets), *origin(about)]
    return "\n".join([table, facts, *notes])


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


def open_run(workdir: Path, changes: Mapping[str, Any]) -> tuple[ml_collections.ConfigDict, Dataset, Mapping[str, Any]]:
    """The config of a run, changed, its data set, and what its last checkpoint says of itself."""
    manager = checkpoints.find_checkpoints(workdir, checkpoints.LAST)
    if manager is None:
        raise InputError(f"--workdir {workdir}: holds no checkpoint of launch.train")
    about = checkpoints.read_about(manager)
    config = ml_collections.ConfigDict(about["config"])
    config.update_from_flattened_dict(changes)
    dataset = open_dataset(config.data.data_dir, config.data.name)
    checkpoints.check_data(checkpoints.about_run(config, dataset), about, workdir)
    return config, dataset, about


def write_report(folder: Path, evaluation: Evaluation, dataset: Dataset, selection: str, figures: int) -> None:
    """Writes metrics.json, predictions.json and `figures` pictures of test videos into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(folder / "metrics.json", evaluation.metrics | {"selection": selection.replace("_", " ")})
    names = [video.name for video in dataset.test.videos]
    results.write_predictions(folder / "predictions.json", evaluation.predictions, names, dataset.classes)
    (folder / "figures").mkdir(exist_ok=True)
    for index in drawn_videos(dataset.test, evaluation, figures):
        of_video = (
            segments[segments.video == index] for segments in (ground_truth(dataset.test), evaluation.predictions)
        )
        draw_video(
            folder / "figures" / f"{names[index]}.png",
            f"{names[index]}   {selection.replace('_', ' ')}, step {evaluation.metrics['step']}",
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
