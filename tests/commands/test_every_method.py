"""What every command does with a run works for every method, and no command is told which method it is."""

import csv
import io
import json

import flax
import jax
import numpy as np
import pytest

import tsc_jax
from configs import plus
from tests.training.small import CLASSES, RECIPES, WIDTH, predictions
from tsc_jax import methods, predict
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import localize
from tsc_jax.inference import make_inference
from tsc_jax.report import lists, tensorboard
from tsc_jax.report.run import report, side_by_side
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

LENGTH = 20  # of the StableHLO program, in snippets


@pytest.fixture(scope="module", params=sorted(RECIPES))
def run(request, data_dir, tmp_path_factory):
    """A run of launch.train with its report, and an export of it with a StableHLO program."""
    folder = tmp_path_factory.mktemp(request.param)
    train(RECIPES[request.param](data_dir, **{"train.steps": 3, "eval.holdout": 0.3}), folder / "run")
    table = report(folder / "run", {})
    export_run(folder / "run", folder / "export", "last", "float32", [LENGTH])
    return request.param, folder, table


def test_evaluate_and_report(run):
    _, folder, table = run
    assert "last (step 3)" in table and "best on holdout" in table
    page = (folder / "run" / "report.html").read_text()
    assert "<svg" in page and list((folder / "run" / "figures").iterdir())
    for name in (".", "best_on_test", "best_on_holdout"):
        metrics = json.loads((folder / "run" / name / "metrics.json").read_text())
        assert metrics["selection"] == (name.replace("_", " ") if name != "." else "last")
    assert "mAP" in report(folder / "run", {"eval.protocol": "seconds"})
    report(folder / "run", {})


def test_an_export_is_evaluated_and_reported_like_its_run(run):
    _, folder, table = run
    assert [line for line in report(folder / "export", {}).splitlines() if line.startswith("last")] == [
        line for line in table.splitlines() if line.startswith("last")
    ]
    assert (folder / "export" / "report.html").exists()


def test_the_program_of_an_export_runs_without_the_method(run):
    _, folder, _ = run
    trained = open_trained(folder / "export")
    program = jax.export.deserialize((folder / "export" / "stablehlo" / f"forward_{LENGTH}.bin").read_bytes())
    features, mask = np.random.default_rng(0).random((1, LENGTH, WIDTH), np.float32), np.ones((1, LENGTH), bool)
    outputs = make_inference(trained.config, trained.sizes).whole(trained.variables, features, mask)
    theirs = program.call(flax.serialization.to_state_dict(trained.variables), features, mask)
    ours = outputs.snippets | outputs.videos
    assert theirs.keys() == ours.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(theirs[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("which", ["run", "export"])
def test_python_finds_what_the_evaluation_found(run, which, data_dir):
    _, folder, _ = run
    split, localizer = open_dataset(data_dir, "made_up").test, tsc_jax.load(folder / which)
    assert localizer.classes == CLASSES and localizer.width == WIDTH
    videos = [split.features(index) for index in range(len(split.videos))]
    localized = localizer.localize(videos)
    own = {
        video.name: [(each.label, each.start, each.end, each.score) for each in of.segments]
        for video, of in zip(split.videos, localized, strict=True)
    }
    assert own == predictions(folder / "run")
    for video, of in zip(videos, localized, strict=True):
        assert of.cas.shape == (len(video), len(CLASSES) + 1) and of.attention.shape == (len(video),)
        assert np.isfinite(of.cas).all() and np.isfinite(of.attention).all()
    # Alone, a video is in a batch of another shape, which rounds differently.
    assert localizer(videos[0])[0].score == pytest.approx(localized[0].segments[0].score, rel=1e-4)


def test_predict_writes_json_csv_and_a_page(run, data_dir, tmp_path):
    _, folder, _ = run
    split, localizer = open_dataset(data_dir, "made_up").test, tsc_jax.load(folder / "run")
    for index, video in enumerate(split.videos):
        np.save(tmp_path / f"{video.name}.npy", split.features(index))
    files, failures = predict.find_files([str(tmp_path)])
    inputs, unusable = predict.open_inputs(files, localizer)
    assert not failures and not unusable
    localized = predict.find_actions(inputs, localizer, None)
    names = [video.name for video in inputs]
    results.write_predictions(tmp_path / "predictions.json", localized.segments, names, localizer.classes)
    assert predictions(tmp_path) == predictions(folder / "run")
    rows = list(csv.reader(io.StringIO(lists.as_csv(names, localized.segments, localizer.classes))))
    assert len(rows) == 1 + len(localized.segments)
    durations = {video.name: video.duration for video in inputs}
    assert lists.as_table(durations, localized.segments, localizer.classes, 3)
    predict.write_report(tmp_path / "out.html", inputs, localized, {}, localizer)
    assert names[0] in (tmp_path / "out.html").read_text()


def test_scalars_become_event_files(run):
    pytest.importorskip("tensorboard")
    _, folder, _ = run
    assert tensorboard.write_events(folder / "run")


def test_a_method_brings_its_optional_modules_or_none(run):
    name, folder, _ = run
    method = open_trained(folder / "run").config.method
    assert method == name.partition("-")[0]
    for module, function in {
        "torch": "fit_recipe",
        "parity": "check_model",
        "report": "sections",
        "chunks": "make",
    }.items():
        part = methods.part(method, module)
        assert part is None or callable(getattr(part, function))


def test_the_localization_of_plus_is_one_flag_away(run, data_dir):
    """Also in an export, from where predict and the API read it."""
    _, folder, _ = run
    changes = plus.CHOICES["plus"]
    export_run(folder / "run", folder / "plus", "last", "float32", [], changes)
    one, other = (open_trained(folder / each).config.localization.by for each in ("run", "plus"))
    assert (one, other) == ("published", "steps")
    trained, split = open_trained(folder / "plus"), open_dataset(data_dir, "made_up").test
    found = localize(make_inference(trained.config, trained.sizes), trained.variables, split, trained.config)
    table = report(folder / "run", changes)
    assert [line for line in table.splitlines() if line.startswith("last")] == [
        line for line in report(folder / "plus", {}).splitlines() if line.startswith("last")
    ]
    localizer = tsc_jax.load(folder / "plus")
    segments = localizer(split.features(0))
    np.testing.assert_allclose([each.score for each in segments], found.segments.of_video(0).score, rtol=1e-5)
    report(folder / "run", {})


def test_runs_on_the_same_data_stand_side_by_side(run, data_dir, tmp_path):
    _, folder, _ = run
    lines = side_by_side([folder / "run", folder / "export"], {}).splitlines()
    rows = [line.split("(step 3)")[1].split() for line in lines if "last (step 3)" in line]
    assert len(rows) == 2 and rows[0] == rows[1]
    train(RECIPES["toy"](data_dir, **{"train.steps": 2, "eval.protocol": "seconds"}), tmp_path / "other")
    with pytest.raises(InputError, match=r"other: has config\.eval\.protocol seconds, but .*run has"):
        side_by_side([folder / "run", tmp_path / "other"], {})
