"""A small data set, and a recipe of every method for it."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import ml_collections
import numpy as np

from configs import recipe
from tests import toy
from tsc_jax.data.dataset import open_dataset
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.training import base, checkpoints
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

CLASSES, WIDTH = ("jump", "throw", "run"), 16
SMALL = {
    "data.name": "made_up",
    "train.batch_size": 16,
    "train.snippets": 16,
    "train.steps": 6,
    "checkpoint.every_steps": 2,
    "train.log_every": 1,
    "eval.every": 3,
    "eval.after": 3,
    "eval.figures": 1,
    "optimizer.learning_rate": 1e-3,
}


def made_up_source() -> Source:
    """Videos of 12 to 30 snippets; each action has a feature of its own."""

    def video(name: str, index: int) -> SourceVideo:
        rng = np.random.default_rng([len(name), index])
        length, label = int(rng.integers(12, 31)), index % len(CLASSES)
        start = int(rng.integers(0, length - 6))
        features = rng.random((length, WIDTH)).astype(np.float32)
        features[start : start + 5, label] += 3
        segment = (start / 2.0, start / 2.0 + 2.5)
        return SourceVideo(
            f"{name}{index:02}", length / 2.0, (CLASSES[label],), (segment,), (CLASSES[label],), lambda: features
        )

    splits = {"train": tuple(video("train", i) for i in range(12)), "test": tuple(video("test", i) for i in range(7))}
    return Source(CLASSES, 2.0, splits)


# What the recipes of the methods need besides.
OWN = {
    "tscnet": {"bank.snippets_per_video": 8},
    "facnet": {"model.embedding_width": 12},
    "rskp": {
        "model.embedding_width": 16,
        "model.prototypes": 4,
        "memory.warmup_epochs": 2,
        "memory.labels": 2,
    },
    "grn": {"model.hidden": 8, "model.channels": (6, 5, 4), "model.test_snippets": 20, "optimizer.graph_after": 2},
    "mmsd": {"model.embedding_width": 16, "pseudo.refresh_epochs": (1, 2)},
}


def small_recipe(name: str, data_dir: Path, **changes) -> ml_collections.ConfigDict:
    """THUMOS-14's recipe of a method, made small for the small data set."""
    config = recipe(name, "thumos14")
    config.update_from_flattened_dict(SMALL | {"data.data_dir": str(data_dir)} | OWN[name] | changes)
    return config


def toy_run(data_dir: Path, **changes) -> ml_collections.ConfigDict:
    """The toy method on the small data set."""
    return toy.recipe(**SMALL | {"data.data_dir": str(data_dir)} | changes)


@functools.cache
def toy_base(data_dir: Path, holdout: float = 0.0) -> Path:
    """A finished run of the toy method, on which stages stand; both hold out the same videos."""
    workdir = Path(data_dir, f"toy_base_{holdout}")
    own = {"optimizer.learning_rate": 0.05, "train.steps": 40, "eval.after": 40, "eval.holdout": holdout}
    train(toy_run(data_dir, **own), workdir)
    return workdir


def acn_run(data_dir: Path, **changes) -> ml_collections.ConfigDict:
    """ACN on the small data set, on top of a finished run, whose recipe is filled in already."""
    config = recipe("acn", "thumos14")
    changes = {"intervals.anchors": (1, 2, 4, 8), "model.hidden": 8, "selection.veto": "centre"} | changes
    own = {"data.data_dir": str(data_dir), "base.workdir": str(toy_base(data_dir, changes.get("eval.holdout", 0.0)))}
    config.update_from_flattened_dict(SMALL | own | changes)
    return base.with_base(config, None, open_dataset(data_dir, config.data.name)).lock()


def self_train_run(data_dir: Path, **changes) -> ml_collections.ConfigDict:
    """Self-training on the small data set, on top of a finished run, in two rounds."""
    config = recipe("self_train", "thumos14")
    own = {"student.channels": 8, "student.blocks": 1, "student.round_steps": 3, "train.snippets": 12}
    own |= {"data.data_dir": str(data_dir), "base.workdir": str(toy_base(data_dir, changes.get("eval.holdout", 0.0)))}
    config.update_from_flattened_dict(SMALL | own | changes)
    return base.with_base(config, None, open_dataset(data_dir, config.data.name)).lock()


# By method, or by method-variant; the contract (tests/methods/test_contract.py) is tested for all of them.
RECIPES: dict[str, Callable[..., ml_collections.ConfigDict]] = {
    "toy": toy_run,
    "acn": acn_run,
    "self_train": self_train_run,
    "self_train-regression": functools.partial(self_train_run, **{"student.kind": "regression"}),
} | {name: functools.partial(small_recipe, name) for name in OWN}
small_run = RECIPES["tscnet"]


def final_variables(workdir: Path):
    """The variables of a run's last checkpoint."""
    return open_trained(workdir).variables


def arrays(workdir, selection="last") -> dict:
    """Type, shape and checksum of all that a run's checkpoint holds."""
    return open_trained(workdir, selection).about["arrays"]


def steps(workdir, selection="last") -> list[int]:
    return sorted(int(path.name) for path in checkpoints.folder_of(workdir, selection).iterdir())


def scalars(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "scalars.jsonl").read_text().splitlines()]


def losses(workdir) -> list[float]:
    return [line["total"] for line in scalars(workdir) if "total" in line]


def predictions(folder: Path) -> dict[str, list[tuple]]:
    """The content of predictions.json by video: label, start, end and score, best first."""
    content = json.loads((folder / "predictions.json").read_text())["results"]
    return {
        name: [(each["label"], *each["segment"], each["score"]) for each in sorted(rows, key=lambda row: -row["score"])]
        for name, rows in content.items()
    }
