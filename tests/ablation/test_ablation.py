"""A study trains each run once, evaluates every variant, resumes where it stopped, and writes what it measured."""

import csv
import dataclasses
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.stats

import configs
from configs import activitynet12, activitynet13, demo, studies, thumos14
from tests.training.small import toy_run
from tsc_jax import methods
from tsc_jax.ablation import grid, summary
from tsc_jax.ablation.grid import Outcome, Variant, run_study
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.inference import make_inference
from tsc_jax.method import Sizes
from tsc_jax.methods.tscnet.bank.update import UPDATE_RULES
from tsc_jax.training import loop
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = Path("/proc/self/maps")  # on Linux
VARIANTS = [
    Variant("as it is", {}),
    Variant("in seconds", {"eval.protocol": "seconds"}),
    Variant("tIoU 0.3 / alone", {"eval.tiou": "0.3"}),
    Variant("fast", {"optimizer.learning_rate": 0.01}),
]


def recipe(data_dir):
    """Of the toy method, which compiles fast."""
    return toy_run(data_dir, **{"train.steps": 2, "eval.holdout": 0.3})


def run(data_dir, workdir, variants=VARIANTS, seeds=2, **changes) -> list[Outcome]:
    config = grid.changed(recipe(data_dir), changes)
    return list(run_study(config, workdir, "mine", variants, seeds, studies.evaluation_only))


@pytest.fixture(scope="module")
def study(data_dir, tmp_path_factory):
    """Its workdir, its outcomes, and the memory mappings of this process before each seed of each variant."""
    workdir, mappings = tmp_path_factory.mktemp("study"), []

    def train(*arguments):
        mappings.append(len(MAPPINGS.read_text().splitlines()) if MAPPINGS.exists() else 0)
        grid_train(*arguments)

    grid_train = grid.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "train", train)
        return workdir, run(data_dir, workdir), mappings


def test_variants_that_only_evaluate_share_their_runs(study):
    workdir, *_ = study
    assert {folder.name for folder in (workdir / "runs").iterdir()} == {"baseline", "optimizer.learning_rate=0.01"}
    assert {folder.name for folder in (workdir / "runs" / "baseline").iterdir()} == {"seed_0", "seed_1"}


def test_a_finished_study_is_read_not_run(study, data_dir, monkeypatch):
    workdir, outcomes, _ = study

    def fail(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(grid, "train", fail)
    for before, after in zip(outcomes, run(data_dir, workdir), strict=True):
        jax.tree.map(np.testing.assert_array_equal, before.mean_ap, after.mean_ap)
    with pytest.raises(AssertionError, match="trained again"):
        run(data_dir, workdir, seeds=3)


def test_each_number_is_that_of_an_evaluation(study, data_dir):
    workdir, outcomes, _ = study
    config = grid.changed(recipe(data_dir), VARIANTS[2].changes)
    dataset = open_dataset(config.data.data_dir, config.data.name)
    trained = open_trained(workdir / "runs" / "baseline" / "seed_1")
    inference = make_inference(config, trained.sizes)
    metrics = evaluate(inference, trained.variables, trained.step, dataset, dataset.test, config).metrics
    assert outcomes[2].tious == [0.3]
    np.testing.assert_array_equal(outcomes[2].mean_ap["test"][1], metrics["mAP"])


def test_metrics_of_other_data_are_not_taken_for_those_of_this(study, data_dir, monkeypatch):
    workdir, outcomes, _ = study
    prepared_anew = dataclasses.replace(open_dataset(data_dir, "made_up"), fingerprint="another")
    for module in (grid, loop):
        monkeypatch.setattr(module, "open_dataset", lambda *_: prepared_anew)
    with pytest.raises(InputError, match="was trained on other data than made_up is now"):
        run(data_dir, workdir)
    monkeypatch.undo()
    assert len(run(data_dir, workdir)) == len(outcomes)


@pytest.mark.parametrize("steps", [1, 3])
def test_runs_of_another_length_are_refused(study, data_dir, steps):
    """A run may go on to more steps by itself; a longer one than is asked for must not pass for what is."""
    workdir, *_ = study
    with pytest.raises(InputError, match=rf"runs/baseline/seed_0 was made with .* = 2, now it is {steps}; give"):
        run(data_dir, workdir, **{"train.steps": steps})


def test_a_study_that_was_killed_does_what_is_left(study, data_dir, tmp_path, monkeypatch):
    """Before the last seed of the last variant: the other runs are there and finished, metrics of it are not."""
    workdir, outcomes, _ = study
    shutil.copytree(workdir, tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "runs" / "optimizer.learning_rate=0.01" / "seed_1")
    (tmp_path / "killed" / "metrics" / "mine" / f"{grid.slug('fast')}.json").unlink()
    taken = []
    made = loop.make_train_step

    def counted(*arguments):
        step = made(*arguments)
        return lambda *of: taken.append(1) or step(*of)

    monkeypatch.setattr(loop, "make_train_step", counted)
    again = run(data_dir, tmp_path / "killed")
    assert len(taken) == recipe(data_dir).train.steps
    for before, after in zip(outcomes, again, strict=True):
        jax.tree.map(np.testing.assert_array_equal, before.mean_ap, after.mean_ap)


def test_seeds_are_told_by_the_flag_alone(data_dir, tmp_path):
    with pytest.raises(InputError, match=r"config\.train\.seeds is 2: .* --seeds"):
        run(data_dir, tmp_path, **{"train.seeds": 2})
    assert not list(tmp_path.iterdir())


def test_no_seeds_are_one_sentence(tmp_path):
    command = [sys.executable, "-m", "launch.ablate", "--config=configs/demo.py", "--study=modules", "--seeds=0"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path / 'none'}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "--seeds" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_the_fusion_weight_belongs_to_the_run_where_it_feeds_the_bank():
    config = thumos14.get_config()
    evaluation_only = studies.evaluation_only_of("tscnet")
    assert evaluation_only("model.fusion_weight", config) and evaluation_only("proposals.nms_sigma", config)
    assert not studies.evaluation_only("model.fusion_weight", config), "other methods have no such key"
    assert not evaluation_only("model.fusion_weight", grid.changed(config, {"bank.update_rule": "ema"}))


def test_an_unknown_key_is_one_sentence(data_dir, tmp_path):
    with pytest.raises(InputError, match=r"changes toy\.refresh"):
        run(data_dir, tmp_path, [Variant("misspelt", {"toy.refresh": ()})])
    assert not list(tmp_path.iterdir())


def test_methods_and_studies_that_are_not_there_are_one_sentence(data_dir):
    with pytest.raises(InputError, match=r"only .*tscnet"):
        studies.variants_of("losses", recipe(data_dir), 3)
    with pytest.raises(InputError, match="expected one of modules, bank"):
        studies.variants_of("nothing", demo.get_config(), 3)


KINDS = ("thumos14", "activitynet12", "activitynet13", "demo")
# Every study of every method, with every recipe that the method has.
STUDIED = [
    (path.stem, kind, study)
    for path in sorted((ROOT / "configs" / "studies").glob("[a-z]*.py"))
    for kind in KINDS
    if path.stem == "self_train"
    or importlib.util.find_spec(f"configs.{kind if path.stem == 'tscnet' else f'{path.stem}_{kind}'}")
    for study in studies.studies_of(path.stem).STUDIES | studies.COMMON
]


@pytest.mark.parametrize(("method", "kind", "study"), STUDIED)
def test_every_study_fits_every_recipe(method, kind, study):
    config = configs.recipe(method, kind)
    variants = studies.variants_of(study, config, 20)
    assert all(key.startswith("eval.") for key in next(iter(variants.values()))), "the first variant is the baseline"
    evaluation_only = studies.evaluation_only_of(method)
    for changes in variants.values():
        own = grid.changed(config, changes)
        assert dict(changes).items() <= changed_values(own, changes).items()
        assert {evaluation_only(key, own) for key in changes} <= {True, False}
        if "base" not in config:  # a stage is made when its base is known
            methods.make(own, Sizes(20, 64, 50, 1000))


@pytest.mark.parametrize("recipe_file", [thumos14, activitynet12, activitynet13, demo])
def test_variants_of_the_bank_are_what_they_are_called(recipe_file):
    config, rules = recipe_file.get_config(), []
    variants = studies.variants_of("bank", config, 20)
    for name, changes in variants.items():
        settings = grid.changed(config, changes).bank
        rule = next((rule for rule in UPDATE_RULES if re.search(rf"\b{rule}\b", name)), config.bank.update_rule)
        source = "kmeans" if "k-means" in name else "class_means" if "class means" in name else "mixture"
        assert (settings.update_rule, settings.source) == (rule, source), name
        rules.append(rule)
    assert set(rules) == set(UPDATE_RULES)
    assert len({str(changes) for changes in variants.values()}) == len(variants), "none is trained twice"


def changed_values(config, changes) -> dict:
    values = {}
    for key in changes:
        section, _, rest = key.partition(".")
        value = config[section]
        for part in rest.split("."):
            value = value[part]
        values[key] = value
    return values


def made_up(seeds: int) -> list[Outcome]:
    rng = np.random.default_rng(0)
    tious = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    return [
        Outcome(name, tious, {"test": rng.uniform(0, 100, (seeds, 9)), "holdout": rng.uniform(0, 100, (seeds, 9))})
        for name in ("baseline", "other | odd")
    ]


def test_the_interval_is_that_of_a_paired_t_test():
    baseline, other = made_up(8)
    of = summary.difference(other, baseline, "test")
    own, base = (each.mean_ap["test"][:, :7].mean(axis=1) for each in (other, baseline))
    expected = scipy.stats.ttest_rel(own, base).confidence_interval(0.95)
    np.testing.assert_allclose([of.mean - of.half_width, of.mean + of.half_width], list(expected))
    assert of.mean == pytest.approx(own.mean() - base.mean())


def test_the_files_say_what_was_measured(tmp_path):
    outcomes = made_up(4)
    config = demo.get_config()
    summary.write(tmp_path, "mine", outcomes, config, "python -m launch.ablate --study=mine")
    text = (tmp_path / "mine.md").read_text()
    assert "seeds 0 to 3" in text and "`python -m launch.ablate --study=mine`" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1, "a name must not break the table"
    averages = outcomes[0].mean_ap["test"][:, :7].mean(axis=1)
    assert f"| baseline | {averages.mean():.1f} ± {averages.std(ddof=1):.1f} |" in text
    lines = list(csv.DictReader(io.StringIO((tmp_path / "mine.csv").read_text())))
    assert len(lines) == 2 * 2 * 4
    assert float(lines[0]["mAP@0.3"]) == pytest.approx(outcomes[0].mean_ap["test"][0, 2], abs=1e-3)
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.md", "mine.csv", "mine.png"}


def test_one_seed_has_no_interval(tmp_path):
    summary.write(tmp_path, "mine", made_up(1), demo.get_config(), "")
    assert "nan" not in (tmp_path / "mine.md").read_text()
    assert "±" not in summary.line(*made_up(1))


@pytest.mark.slow
def test_the_commands_of_the_page_run(data_dir, tmp_path):
    """As docs/ablations.md has them, but on small data, for two steps of one seed."""
    page = (ROOT / "docs" / "ablations.md").read_text()
    commands = re.findall(r"^python -m launch.ablate .*", page, re.MULTILINE)
    assert {re.search(r"--study=(\w+)", line)[1] for line in commands} == {"localization", "plus", "ceiling"}
    small = [f"--config.data.data_dir={data_dir}", "--config.data.name=made_up", "--config.train.snippets=16"]
    small += ["--config.train.steps=2", "--seeds=1"]
    own = {"ceiling": f"--config.base.workdir={tmp_path / 'plus' / 'runs' / 'baseline'}"}
    for line in commands:
        _, *arguments = shlex.split(line)
        study = re.search(r"--study=(\w+)", line)[1]
        again = [sys.executable, *arguments, *small, own.get(study, "--config.bank.snippets_per_video=8")]
        again.append(f"--workdir={tmp_path / study}")
        done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "step 2/2" in done.stdout
        assert {f"{study}.md", f"{study}.csv", f"{study}.png"} <= {path.name for path in (tmp_path / study).iterdir()}


@pytest.mark.skipif(not MAPPINGS.exists(), reason="memory mappings are counted as Linux lists them")
def test_programs_of_a_run_do_not_outlive_it(study):
    """Linux gives a process 65,530 memory mappings; a run takes hundreds."""
    *_, mappings = study
    assert len(mappings) == 8
    assert mappings[-1] < mappings[1] + 100  # the first run loads libraries too
