"""The recipes that launch.compare trains on a data set, on equal terms."""

from collections.abc import Mapping
from typing import Any

import ml_collections

from tsc_jax import configs
from tsc_jax.configs import plus, self_training
from tsc_jax.errors import InputError

DEFAULT_KIND = "demo"  # recipes for small data and two CPU cores

# Changes of the recipes, by data set and method ("all": of every method); the reason stands beside each number.
# Numbers chosen for a data set were chosen on held-out training videos, never on test labels.
OVERRIDES: dict[str, dict[str, dict[str, Any]]] = {
    "watch_workouts": {},  # configs/*_demo.py are the recipes for it
    # Twice as many snippets per second, and longer actions.
    "watch_sessions": {
        "tscnet": {"train.snippets": 96},
        "acn": {"intervals.anchors": (4, 8, 16, 32)},
    },
    "gestures": {
        "all": {"eval.holdout": 0.0},  # all videos are trained on; nothing was chosen here
        # The settings with which its published code was recorded on these data.
        "tscnet": {
            "train.snippets": 48,
            "train.steps": 1200,
            "optimizer.learning_rate": 2e-4,
            "bank.snippets_per_video": 320,
        },
        # As many epochs as on the demo data, which have 120 videos; these are 204.
        "facnet": {"train.steps": 1700},
        "rskp": {"train.steps": 680},
        "mmsd": {"train.steps": 680},
        "grn": {"train.steps": 1360},
        "acn": {"train.steps": 170, "intervals.anchors": (4, 8, 16, 32)},
    },
    "video_streams": {
        "all": {"eval.holdout": 0.0},
        "tscnet": {
            "train.snippets": 48,
            "train.steps": 900,
            "optimizer.learning_rate": 1e-4,
            "bank.snippets_per_video": 320,
        },
        # Embeddings are wider than for the demo's features of width 96. Rates were chosen on held-out training videos,
        # one seed. FAC-Net: among 1e-4, 5e-4 and 1e-3; 1e-3 is 2 points better, but begins like the demo's 2e-3, with
        # which the loss does not fall here. GRN: the best of 1e-4, 5e-4, 2e-3 and 5e-3. RSKP keeps the demo's 5e-4,
        # better than 1e-4. MMSD keeps the demo's 1e-3: 1e-4, 5e-4 and 2e-3 were equal to 2 points.
        "facnet": {"model.embedding_width": 256, "optimizer.learning_rate": 5e-4},
        "rskp": {"model.embedding_width": 256},
        "mmsd": {"model.embedding_width": 256},
        "grn": {"optimizer.learning_rate": 2e-3},
        "acn": {"intervals.anchors": (1, 2, 4, 8, 16, 32)},  # published; actions last 4 snippets
    },
}


def kind_of(data: str) -> str:
    """The name of the recipes for a data set: its own where TSC-Net has a recipe of that name, else "demo"."""
    try:
        configs.recipe("tscnet", data)
    except (ModuleNotFoundError, AttributeError, ValueError):
        return DEFAULT_KIND
    return data


def split_name(name: str) -> tuple[str, str]:
    """The method of a row of a comparison, and "plus" or "best" for METHOD_plus and METHOD_best, else ""."""
    for kind in ("plus", "best"):
        if name.endswith(f"_{kind}"):
            return name.removesuffix(f"_{kind}"), kind
    return name, ""


def recipe_of(
    name: str, data: str, data_dir: str | None, kind: str, changes: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """The recipe of a row of a comparison: a method, or METHOD_plus or METHOD_best.

    Videos and evaluation are those of TSC-Net's recipe for the same `kind`, so that they are equal for all methods.
    `changes` come last; their keys must exist.

    Raises:
      InputError: the method has no recipe of this kind, or the recipe lacks a key of OVERRIDES.
    """
    method, improved = split_name(name)
    try:
        config, common = configs.recipe(method, kind), configs.recipe("tscnet", kind)
        if improved == "best":
            config = self_training.on(method, kind)
    except (ModuleNotFoundError, AttributeError):
        raise InputError(f"{method} has no recipe {kind!r}, expected configs/{method}_{kind}.py") from None
    known = OVERRIDES.get(data, {})
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data.update(common.data)
        config.eval.update(common.eval)
        config.data.name = data
        config.data.data_dir = data_dir or config.data.data_dir
    config.lock()
    if improved == "plus":
        plus.improve(config)
    own = known.get(name if improved == "best" else method, {})
    config.update_from_flattened_dict(known.get("all", {}) | own | dict(changes))
    return config
