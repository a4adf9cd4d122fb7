"""The recipes that a comparison makes from its flags."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from configs.compare import kind_of, recipe_of
from tests import toy
from tsc_jax.ablation import overrides
from tsc_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_values_get_the_types_of_the_recipe():
    recipe = toy.recipe().to_dict()
    given = ["train.steps=7", "optimizer.learning_rate=1", "eval.tiou=0.3", "toy.refresh_at=(0,4)"]
    parsed = overrides.parse(given, "--all ", recipe)
    assert parsed == {
        "train.steps": 7, "optimizer.learning_rate": 1.0, "eval.tiou": "0.3", "toy.refresh_at": (0, 4)
    }  # fmt: skip
    assert type(parsed["optimizer.learning_rate"]) is float


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train.stepz=3", "--all train.stepz=3: the recipe of toy has no 'train.stepz'; did you mean 'train.steps'?"),
        ("train.steps", "--all train.steps: expected KEY=VALUE"),
        ("train.steps=many", "--all train.steps=many: found 'many', expected a value like 3010"),
        ("train.steps=1.5", "--all train.steps=1.5: found '1.5', expected a value like 3010"),
        ("train.steps=__import__('os')", "expected a value like 3010"),
    ],
)
def test_a_value_that_does_not_fit_is_one_sentence(text, sentence):
    with pytest.raises(InputError) as error:
        overrides.parse([text], "--all ", toy.recipe().to_dict())
    assert sentence in str(error.value)


def test_recipes_of_a_data_set_have_equal_videos_and_evaluation():
    assert [kind_of(name) for name in ("thumos14", "activitynet13", "gestures", "common", "a b")] == [
        "thumos14", "activitynet13", "demo", "demo", "demo"
    ]  # fmt: skip
    config = recipe_of("tscnet", "gestures", "/data", "thumos14", {"train.steps": 5})
    assert (config.data.name, config.data.data_dir, config.train.steps) == ("gestures", "/data", 5)
    assert config.eval.protocol == "published" and config.is_locked
    with pytest.raises(InputError, match=r"configs/toy_demo\.py"):
        recipe_of("toy", "gestures", None, "demo", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--methods=tscnet,nope"], "nope"),
        (["--methods=tscnet", "--seeds=1"], "seeds"),
        (["--methods=tscnet", "--set=tscnet:train.stepz=3"], "train.stepz"),
        (["--methods=tscnet", "--set=tscnet:eval.tiou=0.3"], "eval.tiou"),
        (["--methods=tscnet,tscnet_plus", "--set=tscnet_plus:train.steps=3"], "change that"),
        (["--methods=tscnet", "--data=unknown"], "not prepared"),
    ],
)
def test_bad_flags_are_one_sentence(flags, word, data_dir, tmp_path):
    command = [sys.executable, "-m", "launch.compare", "--data=made_up", f"--data_dir={data_dir}"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path / 'none'}", *flags], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and word in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_commands_of_the_page_run(data_dir, tmp_path):
    """As docs/methods.md has them, but with one method on small data, for two steps of two seeds."""
    page = (ROOT / "docs" / "methods.md").read_text()
    commands = re.findall(r"^python -m launch.compare .*", page, re.MULTILINE)
    assert len(commands) == 2 and set(re.search("--methods=(.*?) ", commands[0])[1].split(",")) >= {"tscnet", "acn"}
    small = ["--data=made_up", f"--data_dir={data_dir}", "--methods=tscnet", "--seeds=2"]
    small += ["--set=tscnet:train.steps=2", "--all=train.snippets=16", "--set=tscnet:bank.snippets_per_video=8"]
    for number, line in enumerate(commands):
        workdir = tmp_path / str(number)
        again = [sys.executable, *shlex.split(line)[1:], *small, f"--workdir={workdir}"]
        done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "step 2/2" in done.stdout
        files = {path.name for path in workdir.iterdir() if path.is_file()}
        assert files == {"comparison.json", *(f"compare.{kind}" for kind in ("md", "csv", "json", "png"))}


def test_the_rows_of_a_method_share_data_evaluation_and_changes():
    rows = [recipe_of(name, "gestures", None, "demo", {}) for name in ("rskp", "rskp_plus", "rskp_best")]
    assert len({str(row.eval) for row in rows}) == 1
    assert len({str(row.data) for row in rows}) == 1
    assert rows[0].train == rows[1].train and rows[0].train.steps == 680
    assert rows[2].method == "self_train" and rows[2].train.steps == 300


def test_a_change_of_plus_is_one_of_its_localization():
    config = recipe_of("rskp_plus", "gestures", None, "demo", {"localization.upsampling": 3})
    assert config.localization.upsampling == 3 and config.localization.by == "steps"
