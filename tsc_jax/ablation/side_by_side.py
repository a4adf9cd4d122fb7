"""Reads finished runs side by side: what each reaches on the same test videos, where it errs, and how recipes differ.

Nothing is trained. What `launch.train` or `launch.evaluate` wrote into a run is used where it is of the run's newest
step; other runs are evaluated, and nothing is written into them.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict

from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import detection, diagnosis, protocols, results
from tsc_jax.evaluation.evaluate import evaluate, ground_truth, shares_covered
from tsc_jax.inference import make_inference
from tsc_jax.localization.segments import Segments
from tsc_jax.training.recipes import complete
from tsc_jax.training.trained import check_data, open_trained, read_about, seed_folders, with_dataset

SEEDS = ("train.seed", "train.seeds", "base.recipe.train.seed", "base.recipe.train.seeds")
EVALUATION = ("eval.protocol", "eval.tiou", "eval.ambiguous")  # as in the first run for all
ABSENT = "-"  # the value of a key that a recipe does not have


class Setting(NamedTuple):
    """What holds for all runs."""

    dataset: Dataset
    evaluation: Mapping[str, Any]  # the values of EVALUATION
    tious: list[float]
    threshold: float  # of all numbers at one tIoU
    floor: np.ndarray  # mAP in percent at each tIoU of knowing the test labels alone


class Measured(NamedTuple):
    """The run of one seed."""

    seed: int
    step: int  # the newest one
    mean_ap: np.ndarray  # percent, [tIoUs]
    classification: float  # mAP in percent
    precisions: np.ndarray  # AP in percent of each class at the threshold, [C]; NaN for a class without instances
    kinds: np.ndarray  # of the first G predictions of each class (see `diagnosis.slices`), [KINDS], percent
    gains: np.ndarray  # points, see `diagnosis.gains`
    missed: dict[str, diagnosis.Missed]  # see `diagnosis.false_negatives`


class Row(NamedTuple):
    """A run, or the runs of several seeds."""

    name: str
    about: Mapping[str, Any]  # what the newest checkpoint of the first seed says
    recipe: Mapping[str, Any]  # its recipe, flat
    seeds: list[Measured]

    def stack(self, field: str) -> np.ndarray:
        """The values of a field of `Measured`, [seeds, ...]."""
        return np.array([getattr(each, field) for each in self.seeds])


def compare(folders: Sequence[Path], data_dir: str | None = None) -> tuple[Setting, list[Row]]:
    """Measures runs on the test videos of their data set, all by the protocol and the tIoUs of the first.

    Args:
      folders: workdirs of a run or of several seeds, or exports.
      data_dir: of the data set; None: that of the first run.

    Raises:
      InputError: a folder holds no run or is given twice, runs of different data, data without test segments.
    """
    runs = {folder: seed_folders(folder) or [folder] for folder in folders}
    check_folders(runs)
    abouts = {folder: read_about(seeds[0]) for folder, seeds in runs.items()}
    setting = setting_of(abouts, data_dir)
    rows = []
    for name, (folder, seeds) in zip(names_of(folders), runs.items(), strict=True):
        measured, inference = [], None
        for seed in seeds:
            about = read_about(seed)
            check_data(about, setting.dataset, f"--runs {seed}")
            found = written(seed, about, setting)
            if found is None:
                found, inference = evaluated(seed, setting, inference)
            measured.append(measure(*found, setting))
        recipe = flatten_dict(complete(abouts[folder]["config"]).to_dict(), sep=".")
        rows.append(Row(name, abouts[folder], recipe, sorted(measured, key=lambda each: each.seed)))
    return setting, rows


def check_folders(runs: Mapping[Path, Sequence[Path]]) -> None:
    """Raises InputError for a folder that is not there, or a run that is given twice."""
    given: dict[Path, Path] = {}
    for folder, seeds in runs.items():
        if not folder.is_dir():
            raise InputError(f"--runs {folder}: no such folder, expected a workdir of launch.train or an export")
        for seed in seeds:
            if (other := given.setdefault(seed.resolve(), folder)) is not folder:
                raise InputError(f"--runs {folder}: holds the same run as {other}, expected different runs")
    if len(runs) < 2:
        raise InputError(f"--runs {', '.join(map(str, runs))}: one run, expected two or more with commas between them")


def names_of(folders: Sequence[Path]) -> list[str]:
    """The names of the rows: the folders without the part that all share."""
    shared = os.path.commonpath([folder.parent.absolute() for folder in folders])
    return [os.path.relpath(folder.absolute(), shared) for folder in folders]


def setting_of(abouts: Mapping[Path, Mapping], data_dir: str | None) -> Setting:
    """What holds for all runs; InputError where two were trained on different data."""
    (first, about), *others = abouts.items()
    config = complete(about["config"])
    for folder, other in others:
        prints = [each["data_fingerprint"] for each in (about, other)]
        if None not in prints and prints[0] != prints[1]:
            names = [each["config"]["data"]["name"] for each in (about, other)]
            where = names[1] if names[0] != names[1] else f"another version of {names[1]}"
            raise InputError(f"--runs {folder}: was trained on {where}, {first} on {names[0]}; expected the same data")
    dataset = open_dataset(data_dir or config.data.data_dir, config.data.name)
    check_data(about, dataset, f"--runs {first}")
    if not dataset.test.has_segments:
        raise InputError(f"--runs {first}: no test video of {dataset.name} has a segment, so there is no mAP")
    flat = flatten_dict(config.to_dict(), sep=".")
    tious = protocols.parse_tious(config.eval.tiou)
    durations = np.array([video.duration for video in dataset.test.videos])
    floor = protocols.floor_predictions(ground_truth(dataset.test), durations)
    evaluation = {key: flat[key] for key in EVALUATION} | {"data.data_dir": data_dir or config.data.data_dir}
    setting = Setting(dataset, evaluation, tious, diagnosis.middle(tious), np.zeros(len(tious)))
    return setting._replace(floor=mean_ap(floor, setting))


def mean_ap(predictions: Segments, setting: Setting, protocol: str | None = None, tious=None) -> np.ndarray:
    """mAP in percent of predictions in seconds, [tIoUs]."""
    compared = to_protocol(predictions, setting, protocol)
    return 100 * detection.mean_average_precision(*compared, tious or setting.tious, len(setting.dataset.classes))


def to_protocol(predictions: Segments, setting: Setting, protocol: str | None = None) -> tuple[Segments, Segments]:
    """The true segments of the test videos and the predictions, in the unit of the protocol."""
    test = setting.dataset.test
    protocol = protocol or setting.evaluation["eval.protocol"]
    return protocols.to_protocol(ground_truth(test), predictions, test.clock, protocol)


def written(folder: Path, about: Mapping, setting: Setting) -> tuple[int, int, Segments, float] | None:
    """What `evaluated` gives, from the files in a run; None where they are not of its newest step, or not sound."""
    config, dataset = complete(about["config"]), setting.dataset
    if config.eval.ambiguous != setting.evaluation["eval.ambiguous"]:
        return None
    try:
        metrics = json.loads((folder / "metrics.json").read_text())
        names = [video.name for video in dataset.test.videos]
        predictions, _ = results.read_predictions(folder / "predictions.json", names, dataset.classes)
        if metrics["step"] != about["step"]:
            return None
        again = mean_ap(predictions, setting, metrics["protocol"], metrics["tiou"])
        # A run that trains meanwhile may have replaced one of the two files.
        fits = np.allclose(again, metrics["mAP"], rtol=0, atol=1e-6)
        return (config.train.seed, metrics["step"], predictions, metrics["classification_mAP"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


def evaluated(folder: Path, setting: Setting, inference) -> tuple[tuple[int, int, Segments, float], Any]:
    """The seed, the step, the predictions in seconds and the classification mAP of a run; and what infers its seeds."""
    trained, dataset = with_dataset(open_trained(folder), setting.evaluation)
    inference = inference or make_inference(trained.config, trained.sizes)
    found = evaluate(inference, trained.variables, trained.step, dataset, dataset.test, trained.config)
    return (trained.config.train.seed, trained.step, found.predictions, found.metrics["classification_mAP"]), inference


def measure(seed: int, step: int, predictions: Segments, classification: float, setting: Setting) -> Measured:
    """Measures the predictions of one run."""
    number = len(setting.dataset.classes)
    both = to_protocol(predictions, setting)
    compared = (*both, setting.threshold, number)
    kinds = diagnosis.error_profile(*compared)[0]
    return Measured(
        seed,
        step,
        mean_ap(predictions, setting),
        classification,
        100 * detection.average_precisions(*both, [setting.threshold], number)[0],
        100 * kinds / max(kinds.sum(), 1),
        100 * diagnosis.gains(*compared),
        diagnosis.false_negatives(*compared, shares_covered(setting.dataset.test)),
    )


def differences(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The keys that differ between the recipes that have them, seeds aside: values by row, ABSENT for other recipes.

    What only one method has differs from nothing; the same holds for the recipe of a base.
    """
    keys = sorted({key for row in rows for key in row.recipe} - set(SEEDS))
    values = {key: [row.recipe.get(key, ABSENT) for row in rows] for key in keys}
    return {
        key: each for key, each in values.items() if len({repr(value) for value in each if value is not ABSENT}) > 1
    }
