"""Recipes load, are locked, and hold the settings that papers state."""

import importlib

import pytest

from configs import plus
from tsc_jax.evaluation.protocols import parse_tious

FAITHFUL = ("thumos14", "activitynet12", "activitynet13", "demo")
RECIPES = (*FAITHFUL, *(f"{name}_plus" for name in FAITHFUL))


@pytest.mark.parametrize("name", RECIPES)
def test_a_misspelt_key_is_an_error(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    with pytest.raises(AttributeError):
        config.train.stepz = 3


def test_thumos14_is_the_published_recipe():
    config = importlib.import_module("configs.thumos14").get_config()
    assert (config.train.steps, config.train.batch_size, config.train.pairs, config.train.snippets) == (
        3010,
        10,
        3,
        320,
    )
    assert (config.optimizer.learning_rate, config.optimizer.weight_decay) == (5e-5, 1e-3)
    assert (config.model.fusion_weight, config.loss.topk_ratio, config.bank.update_rule) == (0.55, 7, "gradient")


@pytest.mark.parametrize("name", ["activitynet12", "activitynet13"])
def test_activitynet_freezes_the_bank_and_drops_short_videos(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    assert config.bank.update_rule == "frozen"
    assert config.bank.rows == 0, "one for each class and one for background"
    assert config.data.min_snippets == 11
    assert parse_tious(config.eval.tiou) == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_plus_recipe_is_the_faithful_one_with_its_changes(name):
    faithful, better = (importlib.import_module(f"configs.{each}").get_config() for each in (name, f"{name}_plus"))
    assert faithful != better
    with faithful.unlocked():
        faithful.update_from_flattened_dict(plus.CHANGES)
    assert faithful == better
