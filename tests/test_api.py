"""import tsc_jax: what it finds is what launch.evaluate finds, and what does not fit is one sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tsc_jax
from tests.training.test_run import CLASSES, data_dir, finished  # noqa: F401
from tsc_jax.data.dataset import open_dataset
from tsc_jax.report.run import report
from tsc_jax.training.export import export_run

# The fixtures of test_run are arguments here.
# ruff: noqa: F811


@pytest.fixture(scope="module")
def test_videos(data_dir):
    split = open_dataset(data_dir, "made_up").test
    return {video.name: split.features(index) for index, video in enumerate(split.videos)}


@pytest.fixture(scope="module")
def evaluated(finished):
    report(finished, {})
    return finished


def predictions(folder):
    """What launch.evaluate wrote, by video, best first."""
    results = json.loads((folder / "predictions.json").read_text())["results"]
    return {
        name: [(each["label"], *each["segment"], each["score"]) for each in sorted(found, key=lambda e: -e["score"])]
        for name, found in results.items()
    }


def as_tuples(segments):
    return [(each.label, each.start, each.end, each.score) for each in segments]


@pytest.mark.parametrize("selection", ["last", "best_on_test"])
def test_finds_exactly_what_the_evaluation_found(evaluated, test_videos, selection):
    localizer = tsc_jax.load(evaluated, selection)
    assert localizer.classes == CLASSES and localizer.selection == selection.replace("_", " ")
    found = dict(zip(test_videos, map(as_tuples, localizer(list(test_videos.values()))), strict=True))
    assert found == predictions(evaluated if selection == "last" else evaluated / selection)
    assert all(found.values())


def test_an_export_finds_the_same(evaluated, test_videos, tmp_path):
    export_run(evaluated, tmp_path / "out", "best_on_test", "float32", [])
    exported, run = tsc_jax.load(tmp_path / "out"), tsc_jax.load(evaluated, "best_on_test")
    assert (exported.step, exported.selection) == (run.step, "best on test")
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
        "the video: holds features of type <U1, expected numbers": "x",
    }
    for sentence, features in wrong.items():
        with pytest.raises(tsc_jax.InputError) as error:
            localizer(features)
        assert str(error.value).startswith(sentence) and "\n" not in str(error.value)
    assert localizer([]) == []


def test_a_folder_without_what_is_asked_for_is_one_sentence(finished, tmp_path):
    with pytest.raises(tsc_jax.InputError, match=r"holds no checkpoint 'last'; expected a workdir of launch\.train"):
        tsc_jax.load(tmp_path / "nowhere")
    with pytest.raises(tsc_jax.InputError, match="no checkpoint 'best_on_holdout', only last and best_on_test"):
        tsc_jax.load(finished, "best_on_holdout")
    with pytest.raises(tsc_jax.InputError, match="selection is 'best', expected one of last, best_on_holdout"):
        tsc_jax.load(finished, "best")
    with pytest.raises(tsc_jax.InputError, match="snippets_per_second is -1"):
        tsc_jax.load(finished, snippets_per_second=-1)
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
    assert repr(found).startswith(f"Localization({len(features) / 2:.2f} seconds, {len(found.segments)} segments, best")
    assert [each.score for each in found.segments] == sorted((each.score for each in found.segments), reverse=True)


def test_the_import_is_light_and_lists_what_is_public():
    program = (
        "import sys, tsc_jax; before = set(sys.modules); print(dir(tsc_jax) == sorted(tsc_jax.__all__),"
        " {'jax', 'numpy', 'flax'} & before, [getattr(tsc_jax, name) is not None for name in tsc_jax.__all__])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == f"True set() {[True] * len(tsc_jax.__all__)}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tsc_jax.nothing  # noqa: B018
