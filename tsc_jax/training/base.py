"""The base of a stage: the finished run of another method, on which the method of a recipe stands.

The recipe of a stage has the section `config.base` (configs/common.py). The base's recipe is written into it before
the first step, and the base's variables reach the stage at the refresh of step 0 (`Look.base`), which keeps them in
what is carried. From then on nothing is read from the base's workdir.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.training import checkpoints
from tsc_jax.training.recipes import complete
from tsc_jax.training.trained import Trained, check_data, find, open_trained, seed_folders


def with_base(
    config: ml_collections.ConfigDict, about: Mapping[str, Any] | None, dataset: Dataset
) -> ml_collections.ConfigDict:
    """The recipe of one seed with the recipe of its base; unchanged where it has no section `base`.

    Args:
      config: of the stage.
      about: of the stage's newest checkpoint, whose base is kept; None: the base is read from `config.base.workdir`.
      dataset: of the stage.

    Raises:
      InputError: there is no such run, or it was trained on other data.
    """
    if "base" not in config:
        return config
    if about is None:
        about_base = read_about(config)
        check_data(about_base, dataset, f"config.base.workdir {folder_of(config)}")
        recipe = about_base["config"]
    else:
        recipe = about["config"].get("base", {}).get("recipe", {})
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.base.recipe = complete(recipe)
    return config


def open_base(config: ml_collections.ConfigDict) -> Trained:
    """The run that `config.base` names."""
    return open_trained(folder_of(config), config.base.selection)


def read_about(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """What the newest checkpoint of the base says of it."""
    folder = folder_of(config)
    try:
        manager = find(folder, config.base.selection)
    except InputError as error:
        raise InputError(f"config.base: {error}") from None
    try:
        return checkpoints.read_about(manager)
    finally:
        manager.close()


def folder_of(config: ml_collections.ConfigDict) -> Path:
    """The folder of the base's run: `config.base.workdir`, or the run of the same seed in it."""
    workdir, seed = config.base.workdir, config.train.seed
    if not workdir:
        raise InputError("config.base.workdir is empty, expected the workdir of a finished run")
    folders = seed_folders(Path(workdir))
    if folders and Path(workdir, f"seed_{seed}") not in folders:
        raise InputError(
            f"config.base.workdir {workdir} holds {folders[0].name} .. {folders[-1].name}, but config.train.seed is"
            f" {seed}"
        )
    return Path(workdir, f"seed_{seed}") if folders else Path(workdir)


def check_held_out(config: ml_collections.ConfigDict, base_trained_on: Split, holdout: Split) -> None:
    """Raises InputError where the base was trained on videos that its stage holds out."""
    seen = {video.name for video in base_trained_on.videos} & {video.name for video in holdout.videos}
    if seen:
        raise InputError(
            f"config.eval.holdout is {config.eval.holdout}, but config.base.workdir {config.base.workdir} was trained"
            f" on {len(seen)} of the held-out videos; expected a base with the same config.eval.holdout,"
            " config.train.seed and config.data.min_snippets"
        )


def check_alike(configs: Sequence[ml_collections.ConfigDict]) -> None:
    """Raises InputError where the bases of seeds that are trained together differ in more than their seeds."""
    recipes = [config.base.recipe.to_dict() for config in configs if "base" in config]
    for recipe in recipes:
        recipe["train"] = {key: value for key, value in recipe["train"].items() if key not in ("seed", "seeds")}
    for config, recipe in zip(configs, recipes, strict=False):
        if recipe != recipes[0]:
            raise InputError(
                f"config.base.workdir {config.base.workdir}: the runs of seeds {configs[0].train.seed} and"
                f" {config.train.seed} have different recipes, expected equal ones for seeds that train together"
            )
