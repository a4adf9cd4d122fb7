"""From features to segments in Python: what launch.evaluate finds, and what is wrong in a sentence."""

import asyncio
import dataclasses
import pickle
import re
import subprocess
import sys
from pathlib import Path

import ml_collections
import numpy as np
import pytest

import tsc_jax
from tests.training.small import CLASSES, predictions
from tsc_jax import api
from tsc_jax.training.export import export_run, model_card
from tsc_jax.training.trained import open_trained

ROOT = Path(__file__).resolve().parents[1]


def as_tuples(segments):
    return [(each.label, each.start, each.end, each.score) for each in segments]


@pytest.mark.parametrize("selection", ["last", "best_on_test"])
def test_finds_exactly_what_the_evaluation_found(evaluated, test_videos, selection):
    localizer = tsc_jax.load(evaluated, selection)
    assert localizer.classes == CLASSES and localizer.trained.selection == selection.replace("_", " ")
    found = dict(zip(test_videos, map(as_tuples, localizer(list(test_videos.values()))), strict=True))
    assert found == predictions(evaluated if selection == "last" else evaluated / selection)
    assert all(found.values())


def test_an_export_finds_the_same(evaluated, test_videos, tmp_path):
    export_run(evaluated, tmp_path / "out", "best_on_test", "float32", [])
    exported, run = tsc_jax.load(tmp_path / "out"), tsc_jax.load(evaluated, "best_on_test")
    assert (exported.trained.step, exported.trained.selection) == (run.trained.step, "best on test")
    videos = list(test_videos.values())
    assert exported(videos) == run(videos)


def test_one_video_is_localized_as_among_others(evaluated, test_videos):
    localizer = tsc_jax.load(evaluated)
    together = localizer.localize(list(test_videos.values()))
    for name, among in zip(test_videos, together, strict=True):
        alone = localizer.localize(test_videos[name])
        np.testing.assert_allclose(alone.cas, among.cas, atol=1e-5)
        np.testing.assert_allclose(alone.attention, among.attention, atol=1e-5)
    assert alone.cas.shape == (len(test_videos[name]), len(CLASSES) + 1)
    assert alone.duration == len(test_videos[name]) / 2.0
    assert alone.segments == localizer(test_videos[name])


def test_one_video_after_the_other_compiles_few_programs(finished):
    localizer, shapes = tsc_jax.load(finished), set()

    def whole(variables, features, mask):
        shapes.add(features.shape)
        return localizer.inference.whole(variables, features, mask)

    watched = dataclasses.replace(localizer, inference=dataclasses.replace(localizer.inference, whole=whole))
    for length in range(17, 29):
        watched(np.ones((length, 16)))
    assert len(shapes) == 3


def test_bad_features_are_one_sentence(finished, test_videos):
    localizer = tsc_jax.load(finished)
    good = next(iter(test_videos.values()))
    damaged = good.copy()
    damaged[3, 5] = np.nan
    wrong = {
        "the video: features have width 15, this network takes 16": good[:, :15],
        "the video: snippet 3 has features that are NaN or infinite": damaged,
        "the video: features have shape (0, 16): the video is empty": good[:0],
        "the video: features have shape (16,), expected (snippets, width)": good[0],
        "video 1: features have shape (1, 12, 16), expected": [good, good[None, :12]],
        "the video: the network's output is not finite": 1e30 * good,
        "the video: is a masked array": np.ma.masked_array(good, good > 1),
        "the video: holds features of type <U1, expected numbers": "x",
    }
    for sentence, features in wrong.items():
        with pytest.raises(tsc_jax.InputError) as error:
            localizer(features)
        assert str(error.value).startswith(sentence) and "\n" not in str(error.value)
    assert localizer([]) == []
    config = ml_collections.ConfigDict({"data": {"min_snippets": 13}})
    with pytest.raises(tsc_jax.InputError, match="video 1: has 12 snippets, this network takes 13 or more"):
        changed = dataclasses.replace(localizer.trained, config=config)
        dataclasses.replace(localizer, trained=changed)([np.ones((13, 16)), np.ones((12, 16))])


def test_a_folder_without_what_is_asked_for_is_one_sentence(finished, tmp_path):
    with pytest.raises(tsc_jax.InputError, match=r"holds no checkpoint 'last'; expected a workdir of launch\.train"):
        tsc_jax.load(tmp_path / "nowhere")
    with pytest.raises(tsc_jax.InputError, match="no checkpoint 'best_on_holdout', only last and best_on_test"):
        tsc_jax.load(finished, "best_on_holdout")
    with pytest.raises(tsc_jax.InputError, match="selection is 'best', expected one of last, best_on_holdout"):
        tsc_jax.load(finished, "best")
    for rate in (-1, "2", True, float("nan")):
        with pytest.raises(tsc_jax.InputError, match=f"snippets_per_second is {rate!r}, expected"):
            tsc_jax.load(finished, snippets_per_second=rate)
        with pytest.raises(tsc_jax.InputError, match=f"snippets_per_second is {rate!r}, expected"):
            tsc_jax.prepare("mine", {}, {}, rate, data_dir=tmp_path)
    (tmp_path / "runs" / "seed_3").mkdir(parents=True)
    with pytest.raises(tsc_jax.InputError, match="several seeds, expected one of them: seed_3"):
        tsc_jax.load(tmp_path / "runs")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["runs", "seed_3"]


def test_results_are_readable_in_a_notebook(finished, test_videos):
    localizer = tsc_jax.load(str(finished))
    features = next(iter(test_videos.values()))
    found = localizer.localize(features)
    assert repr(localizer) == f"Localizer({finished}, last, step 6: 3 classes, width 16, 2 snippets a second)"
    first = found.segments[0]
    assert eval(repr(first), vars(tsc_jax.api)) == tsc_jax.Segment(
        first.label, round(first.start, 2), round(first.end, 2), round(first.score, 3)
    )
    html = localizer(features)._repr_html_()
    assert html.count("<tr>") == len(found.segments) + 1 and f"<td>{first.score:.3f}</td>" in html
    assert html in found._repr_html_()
    lanes, _, activations = found.plot().axes
    assert found.plot()._repr_png_().startswith(b"\x89PNG")  # a notebook shows it, without pyplot
    assert {each.get_text() for each in lanes.get_yticklabels()} == {each.label for each in found.segments}
    np.testing.assert_array_equal(activations.lines[-1].get_ydata(), found.cas[:, -1])
    assert repr(found).startswith(f"Localization({len(features) / 2:.2f} seconds, {len(found.segments)} segments, best")
    assert [each.score for each in found.segments] == sorted((each.score for each in found.segments), reverse=True)


def test_a_localizer_is_pickled(finished, test_videos):
    localizer, features = tsc_jax.load(finished), next(iter(test_videos.values()))
    copied = pickle.loads(pickle.dumps(localizer))
    assert repr(copied) == repr(localizer) and copied(features) == localizer(features)


def test_a_network_is_loaded_while_an_event_loop_runs_as_in_a_notebook(finished, test_videos):
    features = next(iter(test_videos.values()))

    async def cell():
        return tsc_jax.load(finished)(features)

    assert asyncio.run(cell()) == tsc_jax.load(finished)(features)


def test_the_import_is_light_and_lists_what_is_public():
    program = (
        "import sys, tsc_jax; before = set(sys.modules); print(dir(tsc_jax) == sorted(tsc_jax.__all__),"
        " {'jax', 'numpy', 'flax'} & before, [getattr(tsc_jax, name) is not None for name in tsc_jax.__all__])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == f"True set() {[True] * len(tsc_jax.__all__)}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tsc_jax.nothing  # noqa: B018


def test_the_document_runs_as_it_stands(finished, test_videos, tmp_path, monkeypatch, capsys):
    using, training = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    assert '"runs/demo"' in using and "steps=200" in training
    found = {"features": next(iter(test_videos.values()))}
    exec(using.replace('"runs/demo"', repr(str(finished))), found)
    assert found["segments"] == tsc_jax.load(finished)(found["features"])
    monkeypatch.chdir(tmp_path)
    exec(training.replace("steps=200", "steps=2"), {})
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"step 2/2  test: mAP@0.1:0.5 [0-9.]+", lines[-4])
    assert all(re.fullmatch(r"Segment\(label='(jump|throw|run)', start=.*\)", line) for line in lines[-3:])


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        ({"a": (1, "run")}, {}, 'video "a": expected its features, then a list of labels or segments'),
        ({3: (1, "run")}, {}, "a video has the name 3, expected text"),
        ({"a": (1, [3])}, {}, 'video "a": label 3 is not a class name'),
        ({}, {"b": (1, [("run", 1)])}, "video \"b\": segment ('run', 1) is not a class, a start and an end"),
        ({}, {"b": (1, [("run", 2, 1)])}, 'video "b": segment (2, 1) is not finite or ends before it starts'),
        ({}, {"b": (1, [("run", 1, 2)])}, "train subset: holds no train videos"),
    ],
)
def test_arrays_that_are_no_data_set_are_one_sentence(tmp_path, train, test, sentence):
    with pytest.raises(tsc_jax.InputError) as error:
        tsc_jax.prepare("mine", train, test, 2.0, data_dir=tmp_path)
    assert str(error.value).startswith(sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("about", "why"), [({}, "different rates"), ({"data_fingerprint": None}, "imported")])
def test_a_run_without_a_rate_of_its_own_asks_for_one(finished, monkeypatch, about, why):
    trained = open_trained(finished)
    trained = dataclasses.replace(trained, about=dict(trained.about) | {"snippets_per_second": None} | about)
    monkeypatch.setattr(api, "open_trained", lambda *arguments: trained)
    with pytest.raises(tsc_jax.InputError, match=f"{why}.*expected --snippets_per_second"):
        tsc_jax.load(finished)
    assert tsc_jax.load(finished, snippets_per_second=3).clock == (3, 0)
    assert "at a rate that the user gives" in model_card("name", trained, "float32")
