"""The studies of GRN; configs/grn_thumos14.py explains the keys."""

import ml_collections

from tsc_jax.configs import studies
from tsc_jax.configs.studies import Variants


def modules() -> Variants:
    """The paper's ablation, and the pooling that lets the classification loss reach the graph."""
    return {
        "published": {},
        "without embedding": {"model.embedding": False, "graph.bandwidth": "median"},
        "class module alone": {"graph.refine": False},
        "top-k pooling": {"model.pool": "topk"},
    }


def strength(mu: float) -> Variants:
    """Varies the strength of the graph; with the published pooling it uses the same trained runs."""
    return {f"recipe: {mu:g}": {}} | {f"{each:g}": {"graph.strength": each} for each in (0.3, 1.0, 10.0, 100.0)}


def readings() -> Variants:
    """Varies how the paper is read where it leaves a choice open."""
    return {
        "recipe": {},
        "Laplacian as printed": {"graph.laplacian": "sum"},
        "statistics per video": {"model.norm": "video"},
        "low snippets are background": {"loss.low": "background"},
        "tau of the range": {"loss.tau_scale": "range"},
        "thresholds of the range": {"proposals.threshold_scale": "range"},
        "bias of the classes": {"model.class_bias": True},
    }


STUDIES = {
    "modules": lambda config, classes: modules(),
    "strength": lambda config, classes: strength(config.graph.strength),
    "readings": lambda config, classes: readings(),
    "losses": lambda config, classes: studies.without(config.loss.weights),
}


def evaluation_only(key: str, config: ml_collections.ConfigDict) -> bool:
    """Returns whether `key` only affects evaluation, so that variants with other values can share a trained run."""
    if key in ("graph.strength", "graph.laplacian"):
        return config.model.pool == "mean"  # then the loss does not depend on the graph
    return key == "model.test_snippets" or studies.evaluation_only(key, config)
