"""The studies of TSC-Net; configs/thumos14.py explains the keys."""

import itertools

import ml_collections

from tsc_jax.configs import studies
from tsc_jax.configs.studies import Variants


def modules() -> Variants:
    """Varies which parts of the network are on."""
    parts = ("mfip", "tce", "dsa")
    variants = {}
    for on in itertools.product((True, False), repeat=len(parts)):
        name = " + ".join(part.upper() for part, is_on in zip(parts, on, strict=True) if is_on) or "none of them"
        variants[name] = {f"model.{part}": is_on for part, is_on in zip(parts, on, strict=True) if not is_on}
    return variants


def bank(settings: ml_collections.ConfigDict, classes: int) -> Variants:
    """Varies the number of rows, their fit, and their update rule; `settings` is `config.bank`."""
    rows = classes + 1
    gradient, frozen, ema = ({"update_rule": rule} for rule in ("gradient", "frozen", "ema"))
    class_means = {"source": "class_means"}
    wanted = {
        "gradient": gradient,
        "frozen": frozen,
        "ema": ema,
        "class means, gradient": class_means | gradient,
        "class means, frozen": class_means | frozen,
        "class means, ema": class_means | ema,
        "k-means, gradient": {"source": "kmeans"} | gradient,
        "spherical mixture, gradient": {"covariance": "spherical"} | gradient,
        "K = (C + 1) / 2": {"rows": max(1, rows // 2)},
        "K = 4 (C + 1)": {"rows": 4 * rows},
    }
    # Recipes differ in their update rule. A variant that equals the recipe is dropped: it is the baseline.
    changes = {
        name: {f"bank.{key}": value for key, value in values.items() if settings[key] != value}
        for name, values in wanted.items()
    }
    baseline = {f"published: mixture, {settings.update_rule}, K = C + 1": {}}
    return baseline | {name: each for name, each in changes.items() if each}


def fusion(weight: float) -> Variants:
    """Varies the weight of the temporal branch at test time; uses the same trained runs."""
    weights = [round(0.1 * tenth, 1) for tenth in range(11)]
    return {f"published: {weight:g}": {}} | {f"{each:g}": {"model.fusion_weight": each} for each in weights}


STUDIES = {
    "modules": lambda config, classes: modules(),
    "bank": lambda config, classes: bank(config.bank, classes),
    "fusion": lambda config, classes: fusion(config.model.fusion_weight),
    "losses": lambda config, classes: studies.without(config.loss.weights),
}


def evaluation_only(key: str, config: ml_collections.ConfigDict) -> bool:
    """Returns whether `key` only affects evaluation, so that variants with other values can share a trained run."""
    if key == "model.fusion_weight":
        return config.bank.update_rule != "ema"  # there, fused features update the bank
    return studies.evaluation_only(key, config)
