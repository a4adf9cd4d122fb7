"""Rules for the values of a recipe's sections, and the one sentence for a value that breaks its rule."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tsc_jax.errors import InputError


class Rule(NamedTuple):
    """What a value must be."""

    holds: Callable[[Any], bool]
    expected: str  # in words, for the message


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def are_thresholds(value: Any) -> bool:
    """Whether `value` is (first, last, number) with finite thresholds and a whole number of 1 or more."""
    try:
        first, last, number = value
    except (TypeError, ValueError):
        return False
    return is_number(first) and is_number(last) and is_whole(number) and number >= 1


NUMBER = Rule(is_number, "a finite number")
NOT_NEGATIVE = Rule(lambda value: is_number(value) and value >= 0, "0 or more")
POSITIVE = Rule(lambda value: is_number(value) and value > 0, "a number above 0")
COUNT = Rule(lambda value: is_whole(value) and value >= 1, "1 or more")
COUNT_OR_0 = Rule(lambda value: is_whole(value) and value >= 0, "0 or more")
SHARE = Rule(lambda value: is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
PART = Rule(lambda value: is_number(value) and 0 < value <= 1, "a number above 0 and at most 1")
BELOW_1 = Rule(lambda value: is_number(value) and 0 <= value < 1, "0 or more and less than 1")
BOOLEAN = Rule(lambda value: isinstance(value, bool), "True or False")
THRESHOLDS = Rule(are_thresholds, "the first threshold, the last one and their number, 1 or more")


def one_of(*choices: Any) -> Rule:
    """The rule that a value is one of `choices`."""
    return Rule(lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


DTYPE = one_of("float32", "bfloat16")  # of a computation


def check(section: str, settings: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raises InputError for the first value of the section `config.SECTION` that breaks its rule."""
    for key, rule in rules.items():
        if not rule.holds(settings[key]):
            raise InputError(f"config.{section}.{key} is {settings[key]!r}, expected {rule.expected}")
