"""What a recipe must be before training starts; methods check their own sections (`methods.make`)."""

from pathlib import Path

import jax
import ml_collections
import numpy as np

from tsc_jax.data.batches import check_batches
from tsc_jax.data.checks import MAX_NAME_BYTES, long_name, name_bytes
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols, results
from tsc_jax.evaluation.ambiguous import read_ambiguous
from tsc_jax.training.runs import train_and_holdout

# The least value of each number.
LEAST = {
    "data.min_snippets": 1,
    "train.steps": 1,
    "train.log_every": 1,
    "checkpoint.every_steps": 1,
    "checkpoint.keep": 1,
    "eval.every": 1,
    "eval.batch_snippets": 1,
    "eval.figures": 0,
}


def check_values(config: ml_collections.ConfigDict, dataset: Dataset) -> None:
    """Raises InputError for invalid values, and for videos, that would otherwise fail late in training."""
    for key, least in LEAST.items():
        section, name = key.split(".")
        if config[section][name] < least:
            raise InputError(f"config.{key} is {config[section][name]}, expected {least} or more")
    if not 0 <= config.eval.holdout < 1:
        raise InputError(f"config.eval.holdout is {config.eval.holdout}, expected 0 or more and less than 1")
    if not config.checkpoint.every_minutes > 0:
        raise InputError(f"config.checkpoint.every_minutes is {config.checkpoint.every_minutes}, expected more than 0")
    check_seeds(config.train)
    check_selection(config.eval)
    if config.eval.protocol not in protocols.PROTOCOLS:
        known = ", ".join(protocols.PROTOCOLS)
        raise InputError(f"config.eval.protocol is {config.eval.protocol!r}, expected one of {known}")
    if config.eval.ambiguous:
        read_ambiguous(Path(config.eval.ambiguous), ())
    train_split, _ = train_and_holdout(config, dataset)
    check_videos(config, dataset, train_split)
    check_batches(config.train, train_split, dataset.classes)


def check_seeds(train: ml_collections.ConfigDict) -> None:
    """Raises InputError for seeds that no run can have, and for several of them over several processes."""
    if not (train.seed >= 0 and train.seeds >= 1 and train.seed + train.seeds <= 2**31):
        raise InputError(
            f"config.train.seed is {train.seed} and config.train.seeds {train.seeds}, expected a first seed from 0 and"
            " at least 1 of them, below 2147483648"
        )
    if train.seeds > 1 and jax.process_count() > 1:
        raise InputError(f"config.train.seeds is {train.seeds}, but over several processes only one run is trained")


def check_videos(config: ml_collections.ConfigDict, dataset: Dataset, train_split: Split) -> None:
    """Raises InputError where no video is left to train on or to test on, or a name makes no file name."""
    least, name = config.data.min_snippets, dataset.name
    for kind, split in (("training", train_split), ("test", dataset.test.at_least(least))):
        if not split.videos:
            raise InputError(
                f"config.data.min_snippets is {least}, but no {kind} video of {name} has {least} snippets or more"
            )
    for video in dataset.test.videos:
        if name_bytes(video.name) > MAX_NAME_BYTES:
            raise InputError(f"{name}, {long_name(video.name)}; prepare the data set with shorter names")


def check_selection(settings: ml_collections.ConfigDict) -> None:
    """Raises InputError where `config.eval.select_by` names no average of the tIoUs that are evaluated."""
    tious = protocols.parse_tious(settings.tiou)
    averages = results.averages(tious, np.zeros(len(tious)))
    if settings.select_by not in averages:
        raise InputError(
            f"config.eval.select_by is {settings.select_by!r}, but the averages that config.eval.tiou {settings.tiou}"
            f" covers are {', '.join(averages)}"
        )
