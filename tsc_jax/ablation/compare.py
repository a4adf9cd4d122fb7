"""Compares methods on one data set: trains each by its recipe with the same seeds, evaluates the last steps.

  WORKDIR/comparison.json              what is compared: data, and the recipe of every method
  WORKDIR/METHOD/seed_S                a run of launch.train
  WORKDIR/metrics/compare/METHOD.json  its metrics, seed by seed

A comparison that was stopped resumes; it may get more methods and more seeds later.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import ml_collections
import numpy as np
from flax.traverse_util import flatten_dict

from tsc_jax import methods
from tsc_jax.ablation import grid
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import localize
from tsc_jax.inference import make_inference
from tsc_jax.training import recipes as keys
from tsc_jax.training.trained import Trained, open_trained

COMPARISON = "comparison.json"
REPEATS = 3  # timed passes over the test videos, after one that compiles

# By method: its recipe, or the reason why it has none for this data.
Recipes = Mapping[str, ml_collections.ConfigDict | InputError]


@dataclasses.dataclass(frozen=True)
class Compared:
    """The results of one method, or the reason why it has none."""

    method: str
    reason: str = ""  # a sentence, where the method failed
    outcome: grid.Outcome | None = None
    classification: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)  # percent, [seeds], by split
    floor: np.ndarray | None = None  # mAP in percent at each tIoU of knowing the test labels alone
    steps: int = 0  # of training
    parameters: int = 0  # numbers that the optimizer moves
    training_seconds: tuple[float, ...] = ()  # of the runs that were trained without a stop
    inference_seconds: float = float("nan")  # of all test videos, compiled before


def compare(
    recipes: Recipes, workdir: Path, seeds: int, bases: Mapping[str, str], read: Mapping[str, str] | None = None
) -> list[Compared]:
    """Trains, evaluates and times every method, in the order of `recipes`.

    A method that fails (InputError) does not stop the others, but for those that are built on it.

    Args:
      recipes: by name; some names may stand for the same method with other settings.
      workdir: of the comparison.
      seeds: number of runs per method.
      bases: by name of a stage (`config.base`), the name of the method on whose runs it stands, seed by seed.
      read: by name of a recipe that is not trained, the name of the method whose runs it evaluates.

    Raises:
      InputError: no data, a workdir of another comparison, different seeds, a base that is not compared.
    """
    usable = {name: each for name, each in recipes.items() if not isinstance(each, InputError)}
    read = {name: of for name, of in (read or {}).items() if name in usable}
    below = {name: of for name, of in bases.items() if name in usable} | read
    check_recipes(recipes, usable, below)
    for name in below.keys() - read.keys():
        usable[name] = grid.changed(usable[name], {"base.workdir": str(workdir / below[name])})
    usable = {name: grid.last_step_only(config) for name, config in usable.items()}
    data = next(iter(usable.values())).data
    dataset = open_dataset(data.data_dir, data.name)
    claim(workdir, usable, dataset)
    done = {name: Compared(name, str(each)) for name, each in recipes.items() if isinstance(each, InputError)}
    for name in sorted(usable, key=lambda name: len(foundations(name, below))):
        if name in below and done[below[name]].reason:
            done[name] = Compared(name, f"it stands on {below[name]}, which failed")
        else:
            trained = read.get(name, name)
            done[name] = measure(name, usable[trained], usable[name], workdir / trained, dataset, seeds)
    # All of them now, one after the other, so that the conditions are the same.
    return [
        done[name] if done[name].reason else timed(done[name], usable[name], workdir / read.get(name, name), dataset)
        for name in recipes
    ]


def foundations(name: str, below: Mapping[str, str]) -> list[str]:
    """The names on whose runs a name stands, directly or through others; itself too where they form a circle."""
    chain = []
    while name in below and below[name] not in chain:
        name = below[name]
        chain.append(name)
    return chain


def check_recipes(recipes: Recipes, usable: Mapping, below: Mapping[str, str]) -> None:
    """Raises InputError where no recipe is usable, seeds differ, or what a recipe stands on is not compared."""
    if not usable:
        raise InputError("; ".join(map(str, recipes.values())))
    firsts = {name: config.train.seed for name, config in usable.items()}
    if len(set(firsts.values())) > 1:
        raise InputError(f"the first seeds of the methods are {firsts}, expected the same; give --all train.seed=SEED")
    for name, of in below.items():
        if of not in recipes or name in foundations(name, below):
            raise InputError(f"{name} stands on the runs of {of}: add {of} to --methods, or name another --base")


def claim(workdir: Path, recipes: Mapping[str, ml_collections.ConfigDict], dataset: Dataset) -> None:
    """Notes in the workdir what is compared; InputError where it holds another comparison or other files."""
    file = workdir / COMPARISON
    if not file.exists() and workdir.exists() and any(path.name[0] != "." for path in workdir.iterdir()):
        raise InputError(f"--workdir {workdir}: holds other files, but no {COMPARISON}; give another folder")
    plain = {method: completed(json.loads(config.to_json())) for method, config in recipes.items()}
    then = json.loads(file.read_text()) if file.exists() else {"data": dataset.name, "recipes": {}}
    if then["data"] != dataset.name:
        raise InputError(f"--workdir {workdir}: compares methods on {then['data']}, not {dataset.name}")
    # A method that was not trained yet may still change, but for what is equal for all.
    known = {method: completed(each) for method, each in then["recipes"].items() if (workdir / method).exists()}
    for method, recipe in known.items():
        now = plain.get(method)
        check_same(workdir, method, recipe if now else {"eval": recipe["eval"]}, now or _evaluation(plain))
    workdir.mkdir(parents=True, exist_ok=True)
    results.write_json(file, {"data": dataset.name, "recipes": known | plain})


def completed(recipe: dict) -> dict:
    """A recipe in plain JSON values with the keys that recipes got since it was written."""
    return json.loads(keys.complete(recipe).to_json())


def _evaluation(recipes: Mapping[str, dict]) -> dict:
    """The settings of the evaluation, which all recipes share."""
    return {"eval": next(iter(recipes.values()))["eval"]}


def check_same(workdir: Path, method: str, then: dict, now: dict) -> None:
    """Raises InputError where a recipe differs from that of the runs in the workdir, naming one key."""
    # eval.after and eval.every are the number of steps (`grid.last_step_only`).
    free = {*keys.FREE, "eval.after", "eval.every"} - {"train.steps", "optimizer.learning_rate"}
    old, new = flatten_dict(then, sep="."), flatten_dict(now, sep=".")
    for key in sorted({*old, *new} - free):
        if old.get(key) != new.get(key):
            raise InputError(
                f"--workdir {workdir}: {method} was compared with config.{key} = {old.get(key)}, now it is"
                f" {new.get(key)}; give the same settings or another folder"
            )


def measure(
    name: str,
    training: ml_collections.ConfigDict,
    evaluated: ml_collections.ConfigDict,
    folder: Path,
    dataset: Dataset,
    seeds: int,
) -> Compared:
    """Trains runs in `folder` and evaluates them with a recipe that may read them otherwise; not timed yet."""
    cached = folder.parent / "metrics" / "compare" / f"{name}.json"
    try:
        metrics = grid.measure(grid.Job(name, training, evaluated, folder, cached), dataset, seeds)
        trained = open_run(folder, training)
    except InputError as error:
        print(f"{name} failed: {error}", flush=True)
        return Compared(name, str(error))
    times = [folder / f"seed_{seed}" / grid.TIME for seed in range(training.train.seed, training.train.seed + seeds)]
    params, _ = jax.eval_shape(methods.make(trained.config, trained.sizes).init, jax.random.key(0))
    return Compared(
        name,
        outcome=grid.outcome_of(name, metrics),
        classification={
            split: np.array([each["classification_mAP"] for each in runs]) for split, runs in metrics.items()
        },
        floor=np.array(metrics["test"][0]["floor"]),
        steps=training.train.steps,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
        training_seconds=tuple(json.loads(path.read_text())["seconds"] for path in times if path.exists()),
    )


def open_run(folder: Path, config: ml_collections.ConfigDict) -> Trained:
    """The run of the first seed."""
    return open_trained(folder / f"seed_{config.train.seed}")


def timed(of: Compared, config: ml_collections.ConfigDict, folder: Path, dataset: Dataset) -> Compared:
    """The same results with the seconds from the features of all test videos to their segments."""
    trained = open_run(folder, config)
    config = grid.with_base_of(config, trained)
    inference, variables = make_inference(config, trained.sizes), jax.device_put(trained.variables)

    def seconds() -> float:
        start = time.perf_counter()
        localize(inference, variables, dataset.test, config)
        return time.perf_counter() - start

    seconds()
    taken = statistics.median(seconds() for _ in range(REPEATS))
    jax.clear_caches()
    return dataclasses.replace(of, inference_seconds=taken)
