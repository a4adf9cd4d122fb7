"""Every value of every recipe is checked before training: no mistyped choice counts as another one."""

import math

import ml_collections
import pytest
from flax.traverse_util import flatten_dict

from configs import recipe
from tests.training.small import OWN, RECIPES, toy_run
from tsc_jax import methods
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.training.checks import check_values
from tsc_jax.training.runs import sizes_of, train_and_holdout

# Values that are names or paths, and those that are text of another form, which have tests of their own.
FREE = ("data.name", "data.data_dir", "base.", "eval.ambiguous", "eval.tiou", "eval.select_by")
# Numbers that may be less than 0: thresholds on scores, which may be logits, and weights that are subtracted.
ANY_SIGN = ("threshold", "outer_weight", "score_weight", "tau_high", "tau_low", "selection.evidence", "vote_margin")
STAGES = ("acn", "self_train")


def impossible(key: str, value) -> list:
    """Values that a setting cannot have, of the type of `value`."""
    if isinstance(value, str):
        return [value.capitalize(), value[:-1]]
    if isinstance(value, float):
        return [math.nan] if key.endswith(ANY_SIGN) else [math.inf, -1.0]
    if isinstance(value, int) and not isinstance(value, bool):
        return [-1]
    return [("x",)] if isinstance(value, tuple | list) else []


def right_recipe(name: str, data_dir) -> ml_collections.ConfigDict:
    """A recipe whose values can all be; that of a stage names a base which need not exist."""
    if name not in STAGES:
        return RECIPES[name](data_dir)
    config = recipe(name, "thumos14")
    with config.unlocked():
        config.base.recipe = toy_run(data_dir)
    return config


@pytest.mark.parametrize("name", [*OWN, *STAGES])
def test_an_impossible_value_is_named(data_dir, name):
    dataset, accepted = open_dataset(data_dir, "made_up"), []
    right = right_recipe(name, data_dir)
    sizes = sizes_of(right, dataset, train_and_holdout(right, dataset)[0])
    for key, value in flatten_dict(right.to_dict(), sep=".").items():
        for wrong in [] if key.startswith(FREE) else impossible(key, value):
            config = right.copy_and_resolve_references()
            config.update_from_flattened_dict({key: wrong})
            try:
                check_values(config, dataset)
                methods.make(config, sizes)
            except InputError as error:
                assert f"config.{key} is" in str(error)
            else:
                accepted.append((key, wrong))
    assert not accepted
