"""The studies of launch.ablate, one module per method.

A module offers `STUDIES`: by name of the study, a function of the recipe and the number of classes that returns the
variants: by name, the settings that each changes in the recipe. The first variant is the baseline. A module with
settings of its own that only evaluation reads offers `evaluation_only(key, config)` as well.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from tsc_jax.configs import plus
from tsc_jax.errors import InputError

Variants = dict[str, Mapping[str, Any]]

# Keys of every method that do not affect training.
EVALUATION_ONLY = ("proposals.", "localization.", "eval.tiou", "eval.protocol", "eval.batch_snippets")


def evaluation_only(key: str, config: ml_collections.ConfigDict) -> bool:
    """Returns whether `key` only affects evaluation, so that variants with other values can share a trained run."""
    return key.startswith(EVALUATION_ONLY)


def studies_of(method: str) -> ModuleType:
    """The module with the studies of a method; InputError where it has none."""
    with_studies = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    if method not in with_studies:
        raise InputError(f"config.method is {method!r}, but only {', '.join(with_studies)} have studies")
    return importlib.import_module(f"{__name__}.{method}")


def variants_of(study: str, config: ml_collections.ConfigDict, classes: int) -> Variants:
    """The variants of a study for a recipe and a data set of C `classes`; InputError for an unknown study."""
    module = studies_of(config.method)
    known = module.STUDIES | {name: lambda config, classes, own=own: own() for name, own in COMMON.items()}
    if study not in known:
        raise InputError(f"--study is {study!r}, expected one of {', '.join(known)} for {config.method}")
    return known[study](config, classes)


def evaluation_only_of(method: str) -> Callable[[str, ml_collections.ConfigDict], bool]:
    """The function `evaluation_only` of a method, or that of all methods."""
    return getattr(studies_of(method), "evaluation_only", evaluation_only)


def without(terms: Mapping[str, float], section: str = "loss.weights") -> Variants:
    """A study that leaves out one term of the loss at a time."""
    return {"all terms": {}} | {f"without {term}": {f"{section}.{term}": 0.0} for term in terms}


def localization() -> Variants:
    """From the published localization to that of configs/plus.py step by step, then one change of it at a time."""
    so_far, variants = {"localization.by": "steps"}, {"published": {}}
    for name, keys in {
        "class threshold 0.02": ("class_threshold",),
        "+ probabilities": ("score", "video_score"),
        "+ up-sampled tracks": ("upsampling", "bounds", "lone_first"),
        "+ soft-NMS of plus": ("nms_sigma", "nms_pixels"),
        "+ tracks of the classes": ("tracks",),
        "+ square root = plus": ("score_power",),
    }.items():
        so_far = so_far | {f"localization.{key}": plus.STEPS[key] for key in keys}
        variants[name] = so_far
    changes = {
        "attention alone": {"tracks": "attention"},
        "tracks of the classes alone": {"tracks": "classes"},
        "activations": {"score": "activations", "video_score": "added"},
        "not up-sampled": {"upsampling": 1},
        "outer ratio 0.15": {"outer_ratio": 0.15},
        "outer ratio 0.5": {"outer_ratio": 0.5},
        "class threshold 0.005": {"class_threshold": 0.005},
        "class threshold 0.1": {"class_threshold": 0.1},
        "class score added": {"video_score": "added"},
        "class score multiplied": {"video_score": "multiplied"},
        "density 0.25": {"density_power": 0.25},
        "density 0.5": {"density_power": 0.5},
        "soft-NMS 0.3": {"nms_sigma": 0.3},
        "hard NMS 0.5": {"nms": "hard"},
        "19 thresholds": {"thresholds": (0.05, 0.95, 19)},
    }
    return variants | {
        f"plus, {name}": plus.CHANGES | {f"localization.{key}": value for key, value in each.items()}
        for name, each in changes.items()
    }


def against_plus() -> Variants:
    """Compares the recipe with the localization of configs/plus.py."""
    return {"published": {}, "plus": plus.CHANGES}


# Of every method.
COMMON = {"localization": localization, "plus": against_plus}


def class_tracks() -> Variants:
    """A study of the published quirks of FAC-Net's, RSKP's and MMSD's proposals; uses the same trained runs."""
    quirks = {
        "end with the run": {"proposals.overrun": 0},
        "NMS by tIoU": {"proposals.nms_overlap": "tiou", "proposals.nms_pixels": False},
        "at least one class": {"proposals.at_least_one_class": True},
    }
    sane = {key: value for changes in quirks.values() for key, value in changes.items()}
    return {"published": {}} | quirks | {"all three": sane}
