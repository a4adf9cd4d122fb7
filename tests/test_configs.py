"""Recipes load, are locked, and hold the settings that papers state."""

import importlib
from pathlib import Path

import pytest

import configs
from configs import common
from tsc_jax.evaluation.protocols import parse_tious
from tsc_jax.localization import steps

ROOT = Path(__file__).resolve().parents[1]
FAITHFUL = ("thumos14", "activitynet12", "activitynet13", "demo")
METHODS = [path.name.removesuffix("_plus.py") for path in (ROOT / "configs").glob("*_plus.py")]


@pytest.mark.parametrize("name", FAITHFUL)
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


@pytest.mark.parametrize("data", ["thumos14", "demo"])
@pytest.mark.parametrize("method", METHODS)
def test_plus_changes_localization_alone_and_best_stands_on_the_recipe(method, data):
    published = configs.recipe(method, data)
    better, best = (importlib.import_module(f"configs.{method}_{kind}").get_config(data) for kind in ("plus", "best"))
    assert better.localization.by == "steps" and published.localization.by == "published"
    with better.unlocked():
        better.localization = published.localization
    assert better == published
    assert best.method == "self_train"
    assert (best.data, best.eval.tiou, best.eval.protocol) == (
        published.data,
        published.eval.tiou,
        published.eval.protocol,
    )
    assert best.base.workdir == f"runs/{data if method == 'tscnet' else f'{method}_{data}'}"


def test_the_steps_of_a_recipe_are_published_until_changed():
    localization = common.sections().localization.to_dict()
    assert localization == {"by": "published"} | steps.PUBLISHED


def test_every_method_but_the_second_stage_has_a_better_recipe():
    own = {path.parent.name for path in (ROOT / "tsc_jax" / "methods").glob("*/__init__.py")}
    assert set(METHODS) == own - {"self_train"}
    assert {path.name.removesuffix("_best.py") for path in (ROOT / "configs").glob("*_best.py")} == set(METHODS)
