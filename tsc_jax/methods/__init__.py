"""The methods, one folder each; `config.method` is the name of the folder.

`tsc_jax/methods/NAME/__init__.py` offers `make`. What only some commands need, or only some methods have, is a module
of that folder: `chunks` (videos longer than a batch), `torch` (PyTorch weights), `parity` (comparison with
recordings) and `report` (sections and a command of the method's own).
"""

import dataclasses
import importlib
import pkgutil
from types import ModuleType

from tsc_jax import refine
from tsc_jax import settings as rules
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.method import Method, Sizes


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds the method that `config.method` names, with its outputs refined as `config.refine` says and
    its segments read as `config.localization` says.

    Args:
      config: the recipe.
      sizes: of the data.
      axis: the pmap axis that devices share a batch over; None on one device.
      mapped: whether the method's functions are mapped over several states (several seeds in one program).

    Raises:
      InputError: an unknown method, or settings that it cannot use.
    """
    check_name(config.method)
    method = importlib.import_module(f"{__name__}.{config.method}").make(config, sizes, axis, mapped)
    return by_steps(refine.refined(method, config), config)


def by_steps(method: Method, config) -> Method:
    """The method whose segments are read by `localization.steps` where `config.localization.by` says so."""
    settings = config.get("localization")
    if settings is not None:
        rules.check("localization", settings, {"by": rules.one_of("published", "steps")} | steps.RULES)
    if settings is None or settings.by == "published":
        return method

    def localize(outputs):
        return steps.localize(outputs, method.class_scores(outputs), settings, probabilities=method.probabilities)

    return dataclasses.replace(method, localize=localize)


def make_base(config, sizes: Sizes, mapped: bool = False) -> Method:
    """Builds the method of `config.base.recipe`: the base of a stage, for its forward pass and localization.

    Raises InputError where the recipe of the base is missing; training writes it there (see `training.base`).
    """
    if not config.base.recipe:
        raise InputError("config.base.recipe is empty; training fills it in from config.base.workdir")
    return make(config.base.recipe, sizes, mapped=mapped)


def part(name: str, module: str) -> ModuleType | None:
    """The optional module of method `name`; None where the method has none."""
    check_name(name)
    wanted = f"{__name__}.{name}.{module}"
    try:
        return importlib.import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name != wanted:
            raise
        return None


def names() -> list[str]:
    """The names of all methods."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def check_name(name: str) -> None:
    """Raises InputError where `name` is not a method. Checkpoints name methods too, so no other module is imported."""
    if not isinstance(name, str) or name not in names():
        raise InputError(f"config.method is {name!r}, expected one of {', '.join(names())}")
