"""Recipes: what the sections that all share may hold, and how those of earlier runs are read.

Of earlier runs: which of their keys may differ now, and what a key that they lack means.
"""

import copy
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols, results
from tsc_jax.localization import steps

# By section. `data.batches` checks what batches are, and `methods.make` the sections that are not here.
RULES = {
    "data": {"min_snippets": rules.COUNT},
    "train": {"seed": rules.COUNT_OR_0} | dict.fromkeys(("seeds", "steps", "log_every"), rules.COUNT),
    "checkpoint": {"every_minutes": rules.POSITIVE} | dict.fromkeys(("every_steps", "keep"), rules.COUNT),
    "eval": {"protocol": rules.one_of(*protocols.PROTOCOLS), "holdout": rules.BELOW_1}
    | dict.fromkeys(("every", "batch_snippets"), rules.COUNT)
    | dict.fromkeys(("after", "figures"), rules.COUNT_OR_0),
}

# Keys that may change when a run goes on: they say how long and how loud it runs, and how it recovers.
FREE = (
    "train.steps",
    "train.log_every",
    "optimizer.learning_rate",
    "eval.figures",
    "data.data_dir",
    "checkpoint.every_steps",
    "checkpoint.every_minutes",
    "checkpoint.keep",
)

# Keys that recipes got after checkpoints of format 2 were first written, each with the value that leaves the
# results of an earlier recipe as they were.
ADDED: dict[str, Any] = {
    "train.sampling": "all",
    "eval.ambiguous": "",
    "refine.strength": 0.0,
    "refine.laplacian": "mean",
    "refine.bandwidth": "median",
    "localization.by": "published",
    "base.seeds": 1,
} | {f"localization.{key}": value for key, value in steps.PUBLISHED.items()}


def check_sections(config: ml_collections.ConfigDict) -> None:
    """Raises InputError for a value of a shared section that cannot be, whatever the data are."""
    for section, of_section in RULES.items():
        rules.check(section, config[section], of_section)
    train = config.train
    if train.seed + train.seeds > 2**31:
        raise InputError(
            f"config.train.seed is {train.seed} and config.train.seeds {train.seeds}, expected seeds below 2147483648"
        )
    protocols.parse_tious(config.eval.tiou)


def check_selection(evaluation: ml_collections.ConfigDict) -> None:
    """Raises InputError if the average by which training chooses the best step is not among those of `config.eval`."""
    tious = protocols.parse_tious(evaluation.tiou)
    averages = results.averages(tious, np.zeros(len(tious)))
    if evaluation.select_by not in averages:
        raise InputError(
            f"config.eval.select_by is {evaluation.select_by!r}, but the averages that config.eval.tiou"
            f" {evaluation.tiou} covers are {', '.join(averages)}"
        )


def complete(recipe: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """The recipe of a checkpoint as a config, with the keys of ADDED that it lacks; also that of its base."""
    completed = copy.deepcopy(dict(recipe))
    if recipe_of_base := completed.get("base", {}).get("recipe"):
        completed["base"]["recipe"] = complete(recipe_of_base).to_dict()
    for key, value in ADDED.items():
        *sections, name = key.split(".")
        if sections == ["base"] and "base" not in completed:
            continue  # not a stage
        section = completed
        for part in sections:
            section = section.setdefault(part, {})
        section.setdefault(name, value)
    return ml_collections.ConfigDict(completed).lock()
