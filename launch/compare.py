"""Compares methods on one data set on equal terms: trains each by its recipe, writes tables and a picture.

With --runs nothing is trained: finished runs, each of one seed or of several, or exports, are shown side by side.

  python -m launch.compare --runs=runs/demo,runs/demo_best --workdir=runs/side_by_side
  python -m launch.compare --data=watch_workouts --methods=tscnet,facnet --seeds=8 --workdir=runs/compare
  python -m launch.compare --data=mine --methods=tscnet,rskp --workdir=runs/mine --all eval.protocol=published \
      --set tscnet:train.steps=800

METHOD_plus reads the segments of METHOD's runs with configs/plus.py; METHOD_best trains a student on them
(configs/self_training.py):

  python -m launch.compare --data=watch_workouts --methods=rskp,rskp_plus,rskp_best --workdir=runs/rskp

Videos, seeds, tIoUs, protocol and holdout are the same for all, and every number is that of the last step. The same
command resumes; a method that fails is reported and does not stop the others. A recipe is configs/METHOD_KIND.py with
the changes of configs/compare.py, then those of --all, then those of --set.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.errors import InputError

_DATA = flags.DEFINE_string("data", None, "Name of a prepared data set.")
_RUNS = flags.DEFINE_string("runs", None, "Finished runs to show side by side, with commas between them.")
_METHODS = flags.DEFINE_list(
    "methods", None, "Methods to compare, also as METHOD_plus and METHOD_best; differences are from the first one."
)
_SEEDS = flags.DEFINE_integer("seeds", 8, "Number of runs per method, with the same seeds.", lower_bound=2)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for runs, metrics and tables.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data sets; default: that of the recipes or runs.")
_RECIPE = flags.DEFINE_string(
    "recipe",
    None,
    "Kind of the recipes, as in thumos14; default: the name of the data if it has recipes, else demo.",
)
_BASE = flags.DEFINE_string("base", "tscnet", "Method on whose runs a second stage (acn) stands.")
_ALL = flags.DEFINE_multi_string("all", [], "KEY=VALUE: a change of all recipes; may be repeated.")
_SET = flags.DEFINE_multi_string("set", [], "METHOD:KEY=VALUE: a change of one recipe; may be repeated.")
flags.mark_flags_as_required(["workdir"])

# Keys that --set may not change, because they must be equal for all methods, or belong to other flags.
EQUAL = ("eval.", "data.", "train.seed")


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    print(train_methods() if _RUNS.value is None else show_runs())


def show_runs() -> str:
    """Shows --runs side by side; returns the tables."""
    for flag in (_DATA, _METHODS, _SEEDS, _RECIPE, _BASE, _ALL, _SET):
        if flag.present:
            raise InputError(f"--{flag.name} does not go with --runs, which trains nothing")
    from tsc_jax.ablation import side_by_side, side_by_side_page
    from tsc_jax.ablation.compare import COMPARISON

    folders, workdir = [Path(each) for each in _RUNS.value.split(",") if each], Path(_WORKDIR.value)
    side_by_side_page.check_target(workdir, COMPARISON)
    setting, rows = side_by_side.compare(folders, _DATA_DIR.value)
    text = side_by_side_page.write(workdir, setting, rows, command())
    return f"{text}\n{workdir}: {', '.join(side_by_side_page.FILES)}"


def command() -> str:
    """The command that was given."""
    return called_here(shlex.join(["python", "-m", "launch.compare", *sys.argv[1:]]))


def train_methods() -> str:
    """Trains and compares --methods; returns the tables."""
    for flag in (_DATA, _METHODS):
        if not flag.present:
            raise InputError(f"--{flag.name} is missing: give --data and --methods, or --runs of finished runs")
    from tsc_jax.ablation import compare, compare_tables
    from tsc_jax.configs.published import ROWS
    from tsc_jax.data.dataset import open_dataset
    from tsc_jax.hardware import hardware

    recipes, workdir = recipes_of_flags(), Path(_WORKDIR.value)
    compared = compare.compare(recipes, workdir, _SEEDS.value, *built_on(recipes))
    config = next(each for each in recipes.values() if not isinstance(each, InputError))
    setting = compare_tables.Setting(
        data=_DATA.value,
        protocol=config.eval.protocol,
        test_videos=len(open_dataset(config.data.data_dir, config.data.name).test.videos),
        first_seed=config.train.seed,
        seeds=_SEEDS.value,
        hardware=hardware(),
        command=command(),
    )
    compare_tables.write(workdir, compared, ROWS, setting)
    return f"{(workdir / 'compare.md').read_text()}\n{workdir}: compare.md, compare.csv, compare.json, compare.png"


def recipes_of_flags() -> dict:
    """The recipe of every row of the comparison; an InputError for a method that has none of this kind."""
    from tsc_jax import methods
    from tsc_jax.ablation import overrides
    from tsc_jax.configs.compare import kind_of, recipe_of, split_name

    names = list(dict.fromkeys(_METHODS.value))
    for name in (*names, _BASE.value):
        if split_name(name)[0] not in methods.names():
            raise InputError(
                f"--methods names {name!r}, expected some of {', '.join(methods.names())}, or one of them with _plus or"
                " _best"
            )
    kind, own = _RECIPE.value or kind_of(_DATA.value), split_by_method(names)
    recipes = {}
    for name in names:
        try:
            config = recipe_of(name, _DATA.value, _DATA_DIR.value, kind, {})
        except InputError as error:
            recipes[name] = error
            continue
        changes = overrides.parse(_ALL.value, "--all ", config.to_dict())
        if split_name(name)[1] == "plus":  # it reads the runs of its method
            method = split_name(name)[0]
            changes |= overrides.parse(own.get(method, []), f"--set {method}:", config.to_dict())
        changes |= overrides.parse(own[name], f"--set {name}:", config.to_dict())
        recipes[name] = recipe_of(name, _DATA.value, _DATA_DIR.value, kind, changes)
    return recipes


def built_on(recipes: dict) -> tuple[dict[str, str], dict[str, str]]:
    """By row of the comparison: the row on whose runs it stands, and the row whose runs it reads."""
    from tsc_jax.configs.compare import split_name

    stages = {name for name, config in recipes.items() if not isinstance(config, InputError) and "base" in config}
    bases = {name: split_name(name)[0] if name.endswith("_best") else _BASE.value for name in stages}
    read = {name: split_name(name)[0] for name in recipes if name.endswith("_plus")}
    return {name: base for name, base in bases.items() if name not in read}, read


def split_by_method(names: list[str]) -> dict[str, list[str]]:
    """The KEY=VALUE of --set by method."""
    own = {name: [] for name in names}
    for text in _SET.value:
        method, colon, change = text.partition(":")
        if not colon or method not in own:
            raise InputError(f"--set {text}: expected METHOD:KEY=VALUE with a method of --methods")
        if change.startswith(EQUAL):
            raise InputError(f"--set {text}: {change.split('=')[0]} is equal for all methods; use --all or its flag")
        if method.endswith("_plus") and not change.startswith("localization."):
            raise InputError(
                f"--set {text}: {method} reads the runs of {method.removesuffix('_plus')}; change that one"
            )
        own[method].append(change)
    for text in _ALL.value:
        if text.startswith(("data.name", "data.data_dir", "train.seeds")):
            raise InputError(f"--all {text}: give --data, --data_dir or --seeds instead")
    return own


if __name__ == "__main__":
    cli.run(main)
