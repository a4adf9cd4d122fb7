"""What a recipe must be before training starts; methods check their own sections (`methods.make`)."""

import warnings
from pathlib import Path

import jax
import ml_collections

from tsc_jax import methods
from tsc_jax.data.batches import check_batches
from tsc_jax.data.checks import MAX_NAME_BYTES, long_name, name_bytes
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError, InputWarning
from tsc_jax.evaluation.ambiguous import read_ambiguous
from tsc_jax.hardware import emulates_bfloat16
from tsc_jax.training.recipes import check_sections, check_selection
from tsc_jax.training.runs import sizes_of, train_and_holdout


def check_values(config: ml_collections.ConfigDict, dataset: Dataset) -> None:
    """Raises InputError for invalid values, and for videos, that would otherwise fail late in training."""
    check_sections(config)
    check_selection(config.eval)
    if config.train.seeds > 1 and jax.process_count() > 1:
        number = config.train.seeds
        raise InputError(f"config.train.seeds is {number}, but over several processes only one run is trained")
    if config.eval.ambiguous:
        read_ambiguous(Path(config.eval.ambiguous), ())
    types = [config[section].get("dtype") for section in ("model", "student") if section in config]
    if "bfloat16" in types and emulates_bfloat16():
        slow = "this processor has no bfloat16 arithmetic: with bfloat16, steps take longer than with float32"
        warnings.warn(InputWarning(slow), stacklevel=2)
    train_split, _ = train_and_holdout(config, dataset)
    check_videos(config, dataset, train_split)
    check_batches(config.train, train_split, dataset.classes)
    if "base" not in config:  # the recipe of a stage is whole only when its base is found
        methods.make(config, sizes_of(config, dataset, train_split))


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
