"""Runs the variants of a study: trains the runs that are missing, evaluates the last step of every run.

  WORKDIR/runs/CHANGES/seed_S      a run as launch.train leaves it; variants that differ in evaluation only share it
  WORKDIR/metrics/STUDY/VARIANT.json   the metrics of the variant, seed by seed

Both are kept, so a study that was stopped goes on where it was, and studies in one workdir share their runs.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.inference import make_inference
from tsc_jax.training.loop import train
from tsc_jax.training.runs import train_and_holdout
from tsc_jax.training.trained import open_trained


@dataclasses.dataclass(frozen=True)
class Variant:
    """A recipe as changes of another one.

    Attributes:
      name: as tables call it.
      changes: values by their key, "model.tce" for example; none for the baseline.
    """

    name: str
    changes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of one variant.

    Attributes:
      name: of the variant.
      tious: thresholds [n].
      mean_ap: by split ("test", "holdout" where there is one), in percent, [seeds, n].
    """

    name: str
    tious: list[float]
    mean_ap: dict[str, np.ndarray]


def run_study(
    config: ml_collections.ConfigDict,
    workdir: Path,
    study: str,
    variants: Sequence[Variant],
    seeds: int,
    evaluation_only: Callable[[str, ml_collections.ConfigDict], bool],
) -> Iterator[Outcome]:
    """The outcome of each variant in turn.

    Args:
      config: the recipe that the variants change; `config.train.seed` is the first seed.
      workdir: of this study and others of the same recipe.
      study: its name.
      variants: at least one.
      seeds: how many, of that seed and those that follow it, the same for all variants.
      evaluation_only: whether a run trained with another value of a key is the same run, given the recipe.

    Raises:
      InputError: a change to a key that the recipe does not have, a recipe of several seeds, metrics of other data in
        the workdir, or whatever training raises.
    """
    if config.train.seeds != 1:
        raise InputError(f"config.train.seeds is {config.train.seeds}: a study takes their number from --seeds alone")
    dataset = open_dataset(config.data.data_dir, config.data.name)
    config = config.copy_and_resolve_references()
    with config.unlocked():
        # Nothing but the last step counts here. It also keeps apart runs of other lengths, which training would take.
        config.eval.after, config.eval.every, config.eval.figures = config.train.steps, config.train.steps, 0
    for number, variant in enumerate(variants, 1):
        of_variant = changed(config, variant.changes)
        cached = workdir / "metrics" / study / f"{slug(variant.name)}.json"
        wanted = json.dumps({"config": json.loads(of_variant.to_json()), "seeds": seeds}, sort_keys=True)
        known = json.loads(cached.read_text()) if cached.exists() else {}
        if known.get("of") != wanted or known.get("data") != dataset.fingerprint:
            print(f"{study} {number}/{len(variants)}: {variant.name}", flush=True)
            training = {key: value for key, value in variant.changes.items() if not evaluation_only(key, of_variant)}
            folder = workdir / "runs" / (slug(",".join(f"{k}={v}" for k, v in sorted(training.items()))) or "baseline")
            train_seeds(changed(config, training), folder, seeds)
            metrics = evaluate_seeds(of_variant, dataset, folder, seeds)
            known = {"of": wanted, "data": dataset.fingerprint, "metrics": metrics}
            cached.parent.mkdir(parents=True, exist_ok=True)
            results.write_json(cached, known)
        yield outcome(variant.name, known["metrics"])


def outcome(name: str, metrics: Mapping[str, Sequence[Mapping[str, Any]]]) -> Outcome:
    """The outcome of a variant from its metrics by split and seed."""
    mean_ap = {split: np.array([each["mAP"] for each in runs]) for split, runs in metrics.items()}
    return Outcome(name, metrics["test"][0]["tiou"], mean_ap)


def changed(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy of the recipe with the changes; InputError for a key that it does not have."""
    copy = config.copy_and_resolve_references()
    try:
        copy.update_from_flattened_dict(dict(changes))
    except (KeyError, AttributeError, TypeError) as error:
        raise InputError(f"a study changes {', '.join(changes)}, which this recipe does not take: {error}") from error
    return copy.lock()


def slug(text: str) -> str:
    """A file name that tells what it is of, and differs where the texts do."""
    plain = "".join(letter if letter.isalnum() or letter in "=.,_-" else "-" for letter in text)
    return (
        plain
        if plain == text and len(plain) <= 100
        else f"{plain[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    )


def train_seeds(config: ml_collections.ConfigDict, folder: Path, seeds: int) -> None:
    """Trains the runs that are not finished, each in folder/seed_S: together on devices, one by one on a processor.

    A processor gains nothing from several at a time (BUILD.md, "Performance").
    """
    first = config.train.seed
    if seeds > 1 and jax.default_backend() != "cpu":
        train(changed(config, {"train.seeds": seeds}), folder)
        return
    for seed in range(first, first + seeds):
        train(changed(config, {"train.seed": seed}), folder / f"seed_{seed}")
        # JAX keeps the programs of every run: after some 80 a process has no memory mappings left, and crashes.
        jax.clear_caches()


def evaluate_seeds(
    config: ml_collections.ConfigDict, dataset: Dataset, folder: Path, seeds: int
) -> dict[str, list[dict]]:
    """Metrics of the last step of every seed, by split."""
    inference, metrics = None, {"test": [], "holdout": []}
    for seed in range(config.train.seed, config.train.seed + seeds):
        trained = open_trained(folder / f"seed_{seed}")
        inference = inference or make_inference(config, trained.sizes)
        _, holdout = train_and_holdout(changed(config, {"train.seed": seed}), dataset)
        for split, videos in (("test", dataset.test), ("holdout", holdout)):
            if videos.videos:
                evaluation = evaluate(inference, trained.variables, trained.step, dataset, videos, config)
                metrics[split].append(evaluation.metrics)
    return {split: runs for split, runs in metrics.items() if runs}
