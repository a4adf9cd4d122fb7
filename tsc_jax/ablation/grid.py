"""Runs the variants of a study: trains the runs that are missing, evaluates the last step of every run.

  WORKDIR/runs/CHANGES/seed_S          a run of launch.train; variants that differ in evaluation only share it
  WORKDIR/metrics/STUDY/VARIANT.json   the metrics of the variant, seed by seed

Both are kept: a stopped study resumes, and studies in one workdir share their runs.
"""

import hashlib
import json
import re
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
from tsc_jax.training.loop import train
from tsc_jax.training.runs import train_and_holdout
from tsc_jax.training.trained import open_trained


class Variant(NamedTuple):
    """A recipe as changes of another one."""

    name: str
    changes: Mapping[str, Any]  # values by their key, "model.tce" for example; none for the baseline


class Outcome(NamedTuple):
    """The results of one variant."""

    name: str
    tious: list[float]
    mean_ap: dict[str, np.ndarray]  # by split ("test", "holdout" where there is one), in percent, [seeds, tIoUs]


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
    # Only the last step counts here. This also keeps apart runs of other lengths, which training would continue.
    steps = config.train.steps
    config = changed(config, {"eval.after": steps, "eval.every": steps, "eval.figures": 0})
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
        mean_ap = {split: np.array([each["mAP"] for each in runs]) for split, runs in known["metrics"].items()}
        yield Outcome(variant.name, known["metrics"]["test"][0]["tiou"], mean_ap)


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
    """Trains the runs that are not finished, each in folder/seed_S."""
    # A CPU gains nothing from several at a time (BUILD.md, "Performance").
    if seeds > 1 and jax.default_backend() != "cpu":
        train(changed(config, {"train.seeds": seeds}), folder)
        return
    for seed in range(config.train.seed, config.train.seed + seeds):
        train(changed(config, {"train.seed": seed}), folder / f"seed_{seed}")
        # JAX keeps the programs of every run: after some 80 a process has no memory mappings left, and crashes.
        jax.clear_caches()


def evaluate_seeds(config, dataset: Dataset, folder: Path, seeds: int) -> dict[str, list[dict]]:
    """Returns the metrics of the last step of every seed, by split."""
    inference, metrics = None, {}
    for seed in range(config.train.seed, config.train.seed + seeds):
        trained = open_trained(folder / f"seed_{seed}")
        inference = inference or make_inference(config, trained.sizes)
        _, holdout = train_and_holdout(changed(config, {"train.seed": seed}), dataset)
        for split, videos in (("test", dataset.test), ("holdout", holdout)):
            if videos.videos:
                evaluation = evaluate(inference, trained.variables, trained.step, dataset, videos, config)
                metrics.setdefault(split, []).append(evaluation.metrics)
    return metrics
