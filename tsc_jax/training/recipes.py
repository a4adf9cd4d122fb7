"""Recipes of earlier runs: which of their keys may differ now, and what a key that they lack means."""

import copy
from collections.abc import Mapping
from typing import Any

import ml_collections

from tsc_jax.localization import steps

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
} | {f"localization.{key}": value for key, value in steps.PUBLISHED.items()}


def complete(recipe: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """The recipe of a checkpoint as a config, with the keys of ADDED that it lacks; also that of its base."""
    completed = copy.deepcopy(dict(recipe))
    if recipe_of_base := completed.get("base", {}).get("recipe"):
        completed["base"]["recipe"] = complete(recipe_of_base).to_dict()
    for key, value in ADDED.items():
        *sections, name = key.split(".")
        section = completed
        for part in sections:
            section = section.setdefault(part, {})
        section.setdefault(name, value)
    return ml_collections.ConfigDict(completed).lock()
