"""Runs the variants of a study: trains the runs that are missing, evaluates the last step of every run.

  WORKDIR/runs/CHANGES/seed_S          a run of launch.train; variants that differ in evaluation only share it
  WORKDIR/metrics/STUDY/VARIANT.json   the metrics of the variant, seed by seed

Both are kept: a stopped study resumes, and studies in one workdir share their runs.
"""

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.inference import make_inference
from tsc_jax.training.checks import check_values
from tsc_jax.training.loop import train
from tsc_jax.training.runs import train_and_holdout
from tsc_jax.training.trained import Trained, open_trained, selections_of

TIME = "training_time.json"  # in the folder of a run that was trained without a stop


class Variant(NamedTuple):
    """A recipe as changes of another one."""

    name: str
    changes: Mapping[str, Any]  # values by their key, "model.tce" for example; none for the baseline


class Outcome(NamedTuple):
    """The results of one variant."""

    name: str
    tious: list[float]
    mean_ap: dict[str, np.ndarray]  # by split ("test", "holdout" where there is one), in percent, [seeds, tIoUs]


class Job(NamedTuple):
    """The runs of one recipe with several seeds, and how they are evaluated."""

    title: str  # printed when there is something to do
    training: ml_collections.ConfigDict  # the recipe of the runs
    evaluated: ml_collections.ConfigDict  # the same, with the values that only evaluation reads
    folder: Path  # the runs, in seed_S
    cached: Path  # file of the metrics


def run_study(
    config: ml_collections.ConfigDict,
    workdir: Path,
    study: str,
    variants: Sequence[Variant],
    seeds: int,
    evaluation_only: Callable[[str, ml_collections.ConfigDict], bool],
) -> Iterator[Outcome]:
    """Yields the outcome of each variant of a recipe in turn, with `seeds` seeds from `config.train.seed` on.

    `evaluation_only(key, config)` says whether a run is the same when trained with another value of a key. Raises
    InputError for a key that the recipe does not have, a recipe of several seeds, and runs of other data.
    """
    if config.train.seeds != 1:
        raise InputError(f"config.train.seeds is {config.train.seeds}: a study takes their number from --seeds alone")
    dataset = open_dataset(config.data.data_dir, config.data.name)
    config = last_step_only(config)
    for variant in variants:  # none is refused after others were trained; no study chooses a step
        check_values(changed(config, {**variant.changes, "eval.select_by": "all"}), dataset)
    for number, variant in enumerate(variants, 1):
        of_variant = changed(config, variant.changes)
        training = {key: value for key, value in variant.changes.items() if not evaluation_only(key, of_variant)}
        job = Job(
            title=f"{study} {number}/{len(variants)}: {variant.name}",
            training=changed(config, training),
            evaluated=of_variant,
            folder=workdir / "runs" / (slug(",".join(f"{k}={v}" for k, v in sorted(training.items()))) or "baseline"),
            cached=workdir / "metrics" / study / f"{slug(variant.name)}.json",
        )
        yield outcome_of(variant.name, measure(job, dataset, seeds))


def measure(job: Job, dataset: Dataset, seeds: int) -> dict[str, list[dict]]:
    """The metrics of a job's runs, seed by seed, by split; trains and evaluates what is missing."""
    wanted = json.dumps({"config": json.loads(job.evaluated.to_json()), "seeds": seeds}, sort_keys=True)
    known = json.loads(job.cached.read_text()) if job.cached.exists() else {}
    if known.get("of") != wanted or known.get("data") != dataset.fingerprint:
        print(job.title, flush=True)
        train_seeds(job.training, job.folder, seeds)
        metrics = evaluate_seeds(job.evaluated, dataset, job.folder, seeds)
        known = {"of": wanted, "data": dataset.fingerprint, "metrics": metrics}
        job.cached.parent.mkdir(parents=True, exist_ok=True)
        results.write_json(job.cached, known)
    return known["metrics"]


def outcome_of(name: str, metrics: Mapping[str, list[dict]]) -> Outcome:
    """The outcome that consists of `metrics`, seed by seed, by split."""
    mean_ap = {split: np.array([each["mAP"] for each in runs]) for split, runs in metrics.items()}
    return Outcome(name, metrics["test"][0]["tiou"], mean_ap)


def last_step_only(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The recipe with a single evaluation, after the last step, the only one that counts here.

    This also keeps apart runs of other lengths, which training would continue.
    """
    steps = config.train.steps
    return changed(config, {"eval.after": steps, "eval.every": steps, "eval.figures": 0})


def with_base_of(config: ml_collections.ConfigDict, trained: Trained) -> ml_collections.ConfigDict:
    """The recipe; of a stage on another method's run, with the recipe of that run, which training fills in."""
    if "base" not in config:
        return config
    copy = config.copy_and_resolve_references()
    with copy.unlocked():
        copy.base = trained.config.base
    return copy.lock()


def changed(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """Returns a changed copy of the recipe; raises InputError for a key that it does not have."""
    copy = config.copy_and_resolve_references()
    try:
        copy.update_from_flattened_dict(dict(changes))
    except (KeyError, AttributeError, TypeError) as error:
        raise InputError(f"a study changes {', '.join(changes)}, which this recipe does not take: {error}") from error
    return copy.lock()


def slug(text: str) -> str:
    """Makes a file name of a text; different texts get different names."""
    plain = re.sub(r"[^\w=.,-]", "-", text)
    if plain == text and len(plain) <= 100:
        return plain
    return f"{plain[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def train_seeds(config: ml_collections.ConfigDict, folder: Path, seeds: int) -> None:
    """Trains the runs that are not finished, each in folder/seed_S, and notes the time that each took."""
    first = config.train.seed
    folders = {seed: folder / f"seed_{seed}" for seed in range(first, first + seeds)}
    # A CPU gains nothing from several at a time (BUILD.md, "Performance").
    if seeds > 1 and jax.default_backend() != "cpu":
        with timed(list(folders.values())):
            train(changed(config, {"train.seeds": seeds}), folder)
        return
    for seed, workdir in folders.items():
        with timed([workdir]):
            train(changed(config, {"train.seed": seed}), workdir)
        # JAX keeps the programs of every run: after some 80 a process has no memory mappings left, and crashes.
        jax.clear_caches()


@contextlib.contextmanager
def timed(folders: Sequence[Path]) -> Iterator[None]:
    """Writes the seconds that training took, per run, into each folder; not for runs that were begun earlier."""
    begun = any(selections_of(folder) for folder in folders)
    start = time.perf_counter()
    yield
    if not begun:
        for folder in folders:
            results.write_json(folder / TIME, {"seconds": (time.perf_counter() - start) / len(folders)})


def evaluate_seeds(config, dataset: Dataset, folder: Path, seeds: int) -> dict[str, list[dict]]:
    """Returns the metrics of the last step of every seed, by split, each with its floor."""
    inference, metrics = None, {}
    for seed in range(config.train.seed, config.train.seed + seeds):
        trained = open_trained(folder / f"seed_{seed}")
        own = with_base_of(changed(config, {"train.seed": seed}), trained)
        inference = inference or make_inference(own, trained.sizes)
        _, holdout = train_and_holdout(own, dataset)
        for split, videos in (("test", dataset.test), ("holdout", holdout)):
            if videos.videos:
                evaluation = evaluate(inference, trained.variables, trained.step, dataset, videos, own)
                metrics.setdefault(split, []).append(evaluation.metrics | {"floor": evaluation.floor.tolist()})
    return metrics
