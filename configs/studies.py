"""The studies of launch.ablate: what each variant changes in the recipe that is given.

The first variant of a study is its baseline. Keys are those of the recipe (configs/thumos14.py explains them).
"""

import itertools
from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import plus

Variants = dict[str, Mapping[str, Any]]


def modules() -> Variants:
    """Each part of the network on and off."""
    parts = ("mfip", "tce", "dsa")
    variants = {}
    for on in itertools.product((True, False), repeat=len(parts)):
        name = " + ".join(part.upper() for part, is_on in zip(parts, on, strict=True) if is_on) or "none of them"
        variants[name] = {f"model.{part}": is_on for part, is_on in zip(parts, on, strict=True) if not is_on}
    return variants


def bank(classes: int) -> Variants:
    """Number of rows, what they are fitted by, and what becomes of them in training."""
    rows = classes + 1
    return {
        "published: mixture, gradient, K = C + 1": {},
        "frozen": {"bank.update_rule": "frozen"},
        "ema": {"bank.update_rule": "ema"},
        "class means, gradient": {"bank.source": "class_means"},
        "class means, frozen": {"bank.source": "class_means", "bank.update_rule": "frozen"},
        "class means, ema": {"bank.source": "class_means", "bank.update_rule": "ema"},
        "k-means, gradient": {"bank.source": "kmeans"},
        "spherical mixture, gradient": {"bank.covariance": "spherical"},
        "K = (C + 1) / 2": {"bank.rows": max(1, rows // 2)},
        "K = 4 (C + 1)": {"bank.rows": 4 * rows},
    }


def fusion(weight: float) -> Variants:
    """The weight of the temporal branch at test time, without training anew."""
    weights = [round(0.1 * tenth, 1) for tenth in range(11)]
    return {f"published: {weight:g}": {}} | {f"{each:g}": {"model.fusion_weight": each} for each in weights}


def losses(weights: Mapping[str, float]) -> Variants:
    """Each term of the loss left out."""
    return {"all terms": {}} | {f"without {term}": {f"loss.weights.{term}": 0.0} for term in weights}


def candidates(steps: int) -> Variants:
    """What was tried to do better than published; configs/plus.py is what was chosen of it."""
    lower = {f"class threshold {each:g}": {"proposals.class_threshold": each} for each in (0.1, 0.05, 0.02, 0.01, 0.0)}
    threshold = plus.CHANGES["proposals.class_threshold"]

    def beside(changes: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"proposals.class_threshold": threshold, **changes}

    return {
        "published": {},
        **lower,
        "chosen threshold, activation thresholds": beside({"proposals.activation_thresholds": (0.1, 0.9, 9)}),
        "chosen threshold, NMS sigma 0.5": beside({"proposals.nms_sigma": 0.5}),
        "chosen threshold, NMS sigma 0.7": beside({"proposals.nms_sigma": 0.7}),
        "chosen threshold, no video score": beside({"proposals.video_score_weight": 0.0}),
        "chosen threshold, video score weight 1": beside({"proposals.video_score_weight": 1.0}),
        "chosen threshold, fusion weight 0.7": beside({"model.fusion_weight": 0.7}),
        "chosen threshold, fusion weight 0.8": beside({"model.fusion_weight": 0.8}),
        "chosen threshold, average of weights": beside({"optimizer.average_decay": 0.99}),
        "chosen threshold, cosine": beside({"optimizer.decay_steps": steps}),
        "chosen threshold, average, cosine": beside({"optimizer.average_decay": 0.99, "optimizer.decay_steps": steps}),
        "plus": plus.CHANGES,
    }


def against_plus() -> Variants:
    """The recipe as it is, and as configs/plus.py changes it."""
    return {"published": {}, "plus": plus.CHANGES}


def variants_of(study: str, config: ml_collections.ConfigDict, classes: int) -> Variants:
    """The variants of one of STUDIES for a recipe and a data set of C `classes`."""
    return {
        "modules": modules,
        "bank": lambda: bank(classes),
        "fusion": lambda: fusion(config.model.fusion_weight),
        "losses": lambda: losses(config.loss.weights),
        "candidates": lambda: candidates(config.train.steps),
        "plus": against_plus,
    }[study]()


STUDIES = ("modules", "bank", "fusion", "losses", "candidates", "plus")
