"""Values of a recipe that are given as text, KEY=VALUE."""

import ast
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from flax.traverse_util import flatten_dict

from tsc_jax.errors import InputError


def parse(given: Sequence[str], prefix: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The values of KEY=VALUE texts, with the types that they have in `recipe`, a config as nested dicts.

    `prefix` is what precedes the texts on the command line, "--all " for example.

    Raises:
      InputError: a text of another form, a key that the recipe lacks, a value of another type.
    """
    values = flatten_dict(dict(recipe), sep=".")
    parsed = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{prefix}{text}: expected KEY=VALUE")
        if key not in values:
            near = difflib.get_close_matches(key, values, 1)
            raise InputError(
                f"{prefix}{text}: the recipe of {recipe['method']} has no {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
        parsed[key] = as_type_of(values[key], value, f"{prefix}{text}")
    return parsed


def as_type_of(present: Any, text: str, where: str) -> Any:
    """`text` as a value of the type of `present`; whole numbers are numbers too. Raises InputError, naming `where`."""
    if isinstance(present, str):
        return text
    try:
        value = ast.literal_eval(text.capitalize() if text in ("true", "false") else text)
    except (ValueError, SyntaxError):
        value = None
    if isinstance(present, float) and type(value) is int:
        value = float(value)
    if isinstance(present, tuple | list) and isinstance(value, tuple | list):
        value = type(present)(value)
    if present is not None and type(value) is not type(present):
        raise InputError(f"{where}: found {text!r}, expected a value like {present!r}")
    return value
