"""The base of a stage: the finished run of another method, on which the method of a recipe stands.

The recipe of a stage has the section `config.base` (configs/common.py). The base's recipe is written into it before
the first step, and the base reaches the stage at the refresh of step 0 (`Look.bases`), which keeps what it needs in
what is carried. From then on nothing is read from the base's workdir. A stage of several bases, which all teach it,
keeps the recipe of the first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from tsc_jax import settings as rules
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.files import open_path
from tsc_jax.training import trained
from tsc_jax.training.recipes import complete
from tsc_jax.training.trained import Trained, check_data, open_trained, seed_folders


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
        recipes = []
        for folder in folders_of(config):
            about_base = read_about(config, folder)
            check_data(about_base, dataset, f"config.base.workdir {folder}")
            recipes.append(about_base["config"])
        recipe = recipes[0]
    else:
        recipe = about["config"].get("base", {}).get("recipe", {})
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.base.recipe = complete(recipe)
    return config


def open_bases(config: ml_collections.ConfigDict) -> list[Trained]:
    """The runs that `config.base` names."""
    return [open_trained(folder, config.base.selection) for folder in folders_of(config)]


def recipes_of(config: ml_collections.ConfigDict) -> list[ml_collections.ConfigDict]:
    """The recipes of the runs that `config.base` names."""
    return [complete(read_about(config, folder)["config"]) for folder in folders_of(config)]


def read_about(config: ml_collections.ConfigDict, folder: Path) -> dict[str, Any]:
    """What the newest checkpoint of a base says of it."""
    try:
        return trained.read_about(folder, config.base.selection)
    except InputError as error:
        raise InputError(f"config.base: {error}") from None


def folders_of(config: ml_collections.ConfigDict) -> list[Path]:
    """The folders of the bases' runs: each part of `config.base.workdir`, or runs of single seeds in it."""
    rules.check("base", config.base, {"seeds": rules.COUNT})
    workdirs = [part.strip() for part in config.base.workdir.split(",")]
    if not all(workdirs):
        raise InputError(
            f"config.base.workdir is {config.base.workdir or 'empty'}, expected the workdir of a finished run, or"
            " several with commas between them"
        )
    return [folder for workdir in workdirs for folder in folders_in(open_path(workdir), config)]


def folders_in(workdir: Path, config: ml_collections.ConfigDict) -> list[Path]:
    """The workdir; of one with several seeds, `config.base.seeds` runs, that of `config.train.seed` first."""
    folders, wanted = seed_folders(workdir), config.base.seeds
    if wanted > max(len(folders), 1):
        held = f"{len(folders)} seeds" if folders else "a single run, not seeds"
        raise InputError(f"config.base.seeds is {wanted}, but {workdir} holds {held}")
    if not folders:
        return [workdir]
    own = workdir / f"seed_{config.train.seed}"
    if own not in folders:
        raise InputError(
            f"config.base.workdir {workdir} holds {folders[0].name} .. {folders[-1].name}, but config.train.seed is"
            f" {config.train.seed}"
        )
    first = folders.index(own)
    return (folders[first:] + folders[:first])[:wanted]


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
