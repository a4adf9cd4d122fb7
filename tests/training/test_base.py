"""A stage stands on a finished run, and its checkpoints stand alone."""

import shutil

import jax
import numpy as np
import pytest

from configs import acn_thumos14
from tests.training.small import SMALL, acn_run, toy_base, toy_run
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.training import base
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained


def stage(data_dir, **changes):
    """A recipe of ACN into which no base is filled in yet."""
    config = acn_thumos14.get_config()
    small = {"intervals.anchors": (1, 2, 4), "model.hidden": 4, "train.steps": 2, "eval.after": 4, "eval.every": 4}
    config.update_from_flattened_dict(SMALL | {"data.data_dir": str(data_dir)} | small | changes)
    return config


@pytest.fixture(scope="module")
def moved(data_dir, tmp_path_factory):
    """A stage's run whose base is gone, its recipe, and the variables that the base had."""
    folder = tmp_path_factory.mktemp("moved")
    shutil.copytree(toy_base(data_dir), folder / "base")
    config = stage(data_dir, **{"base.workdir": str(folder / "base")})
    train(config, folder / "stage")
    variables = open_trained(folder / "base").variables
    shutil.rmtree(folder / "base")
    return folder / "stage", config, variables


def test_the_run_of_a_stage_holds_its_base(moved):
    workdir, _, variables = moved
    trained = open_trained(workdir)
    jax.tree.map(np.testing.assert_array_equal, trained.variables["base"], variables)
    assert trained.config.base.recipe.method == "toy"


def test_a_stage_goes_on_without_its_base(moved, data_dir):
    workdir, config, variables = moved
    again = config.copy_and_resolve_references()
    again.train.steps = 3
    train(again, workdir)
    trained = open_trained(workdir)
    assert trained.step == 3
    jax.tree.map(np.testing.assert_array_equal, trained.variables["base"], variables)
    again.base.workdir = str(toy_base(data_dir))
    with pytest.raises(InputError, match=r"config\.base\.workdir = .*base, now it is .*toy_base"):
        train(again, workdir)


def test_a_stage_may_stand_on_a_stage(moved, data_dir, tmp_path):
    workdir, _, _ = moved
    train(stage(data_dir, **{"base.workdir": str(workdir)}), tmp_path / "second")
    trained = open_trained(tmp_path / "second")
    assert trained.config.base.recipe.base.recipe.method == "toy"
    jax.tree.map(np.testing.assert_array_equal, trained.variables["base"], open_trained(workdir).variables)


def test_each_seed_stands_on_the_base_of_its_own_seed(data_dir, tmp_path):
    several = {"train.seeds": 2, "train.steps": 2, "eval.after": 2}
    train(toy_run(data_dir, **several), tmp_path / "bases")
    config = stage(data_dir, **{"base.workdir": str(tmp_path / "bases"), "train.seeds": 2})
    train(config, tmp_path / "stages")
    for seed in range(2):
        own = open_trained(tmp_path / "bases" / f"seed_{seed}").variables
        trained = open_trained(tmp_path / "stages" / f"seed_{seed}")
        jax.tree.map(np.testing.assert_array_equal, trained.variables["base"], own)
        assert trained.config.base.recipe.train.seed == seed
    config.train.update(seeds=1, seed=1)
    config.base.seeds = 2
    assert base.folders_of(config) == [tmp_path / "bases" / "seed_1", tmp_path / "bases" / "seed_0"]
    config.base.seeds = 3
    with pytest.raises(InputError, match=r"config\.base\.seeds is 3, but .* holds 2 seeds"):
        train(config, tmp_path / "others")
    config.train.update(seeds=2, seed=1)
    config.base.seeds = 1
    with pytest.raises(InputError, match=r"holds seed_0 \.\. seed_1, but config\.train\.seed is 2"):
        train(config, tmp_path / "others")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base.workdir": ""}, r"config\.base\.workdir is empty"),
        ({"base.workdir": "/nowhere/run"}, r"config\.base: /nowhere/run: holds no checkpoint 'last'"),
        ({"base.seeds": 0}, r"config\.base\.seeds is 0"),
        ({"base.seeds": 2}, r"config\.base\.seeds is 2, but .* holds a single run, not seeds"),
        ({"base.selection": "best"}, r"config\.base: selection is 'best', expected one of"),
        ({"eval.holdout": 0.2}, r"config\.eval\.holdout is 0\.2, but config\.base\.workdir .* held-out videos"),
    ],
)
def test_a_base_that_does_not_fit_is_one_sentence(data_dir, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(stage(data_dir, **{"base.workdir": str(toy_base(data_dir))} | changes), tmp_path)
    assert not (tmp_path / "scalars.jsonl").exists()


def test_a_base_of_other_data_is_refused(data_dir):
    dataset = open_dataset(data_dir, "made_up")
    config = stage(data_dir, **{"base.workdir": str(toy_base(data_dir))})
    object.__setattr__(dataset, "fingerprint", "other")
    with pytest.raises(InputError, match=r"config\.base\.workdir .* was trained on other data than made_up is now"):
        base.with_base(config, None, dataset)


def test_bases_with_the_same_held_out_videos_are_accepted(data_dir, tmp_path):
    held_out = {"eval.holdout": 0.25, "train.steps": 2, "eval.after": 2, "train.pairs": 0, "train.batches": "epochs"}
    train(toy_run(data_dir, **held_out), tmp_path / "base")
    train(stage(data_dir, **{"base.workdir": str(tmp_path / "base"), "eval.holdout": 0.25}), tmp_path / "stage")
    assert open_trained(tmp_path / "stage").step == 2


def test_seeds_that_train_together_need_bases_of_one_recipe(data_dir):
    configs = [acn_run(data_dir), acn_run(data_dir, **{"train.seed": 1})]
    base.check_alike(configs)
    with configs[1].unlocked():
        configs[1].base.recipe.optimizer.learning_rate = 1.0
    with pytest.raises(InputError, match="seeds 0 and 1 have different recipes"):
        base.check_alike(configs)
