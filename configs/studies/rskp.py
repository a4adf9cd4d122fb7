"""The studies of RSKP; configs/rskp_thumos14.py explains the keys."""

import ml_collections

from tsc_jax.configs import studies
from tsc_jax.configs.studies import Variants


def branches(weight: float) -> Variants:
    """Varies the share of the main branch at test time; uses the same trained runs."""
    return {f"published: {weight:g}": {}} | {f"{each:g}": {"model.main_weight": each} for each in (0.0, 0.2, 0.8, 1.0)}


def prototypes(number: int) -> Variants:
    """Varies the number of representative snippets of a video."""
    return {f"published: {number}": {}} | {
        f"{each}": {"model.prototypes": each} for each in (2, 4, 16) if each != number
    }


STUDIES = {
    "quirks": lambda config, classes: studies.class_tracks(),
    "losses": lambda config, classes: studies.without(config.loss.weights),
    "branches": lambda config, classes: branches(config.model.main_weight),
    "prototypes": lambda config, classes: prototypes(config.model.prototypes),
}


def evaluation_only(key: str, config: ml_collections.ConfigDict) -> bool:
    """Returns whether `key` only affects evaluation, so that variants with other values can share a trained run."""
    return key in ("model.main_weight", "model.test_snippets") or studies.evaluation_only(key, config)
