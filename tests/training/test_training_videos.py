"""What a run finds in its training videos: files of their own beside those of the test, and named as what they are."""

import dataclasses
import json

import numpy as np
import pytest

from tests.training.small import CLASSES, made_up_source, toy_run
from tsc_jax.api import load
from tsc_jax.data.builder import prepare
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import detection, protocols, results
from tsc_jax.evaluation.evaluate import ground_truth
from tsc_jax.report.run import report
from tsc_jax.report.training_videos import METRICS, PREDICTIONS, TRAINED_ON, WITHOUT, report_training_videos
from tsc_jax.training.loop import train


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_training_videos_get_files_of_their_own(toy_finished, data_dir):
    report(toy_finished, {})
    before = files(toy_finished)
    shown = report_training_videos(toy_finished, {})
    new = {name: content for name, content in files(toy_finished).items() if before.get(name) != content}
    assert set(new) == {PREDICTIONS, METRICS}
    split = open_dataset(data_dir, "made_up").train
    names = tuple(video.name for video in split.videos)
    found, videos = results.read_predictions(toy_finished / PREDICTIONS, names, CLASSES)
    assert videos == names

    # They are what the localizer finds in these features.
    localized = load(toy_finished).localize([split.features(index) for index in range(len(names))])
    own = [(index, *vars(each).values()) for index, of in enumerate(localized) for each in of.segments]
    rows = [row for index in range(len(names)) for row in found.of_video(index).rows()]
    assert [(CLASSES[label], *numbers) for label, *numbers in rows] == [row[1:] for row in own]

    metrics = json.loads(new[METRICS])
    assert (metrics["subset"], metrics["selection"], metrics["step"]) == ("train", "last", 6)
    compared = protocols.to_protocol(ground_truth(split), found, split.clock, metrics["protocol"])
    expected = 100 * detection.mean_average_precision(*compared, metrics["tiou"], len(CLASSES))
    np.testing.assert_allclose(metrics["mAP"], expected)
    assert TRAINED_ON in shown and "12 training videos" in shown


def test_other_settings_write_elsewhere_or_nowhere(toy_finished, tmp_path):
    before = files(toy_finished)
    changes = {"eval.protocol": "seconds"}
    assert WITHOUT in report_training_videos(toy_finished, changes)
    assert WITHOUT not in report_training_videos(toy_finished, changes, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {PREDICTIONS, METRICS}
    assert files(toy_finished) == before
    with pytest.raises(InputError, match="cannot be written"):
        report_training_videos(toy_finished, {}, toy_finished / "scalars.jsonl")


def test_videos_without_segments_have_predictions_and_no_map(tmp_path):
    source = made_up_source()
    weak = tuple(dataclasses.replace(video, segments=(), segment_labels=()) for video in source.splits["train"])
    source = dataclasses.replace(source, splits={**source.splits, "train": weak})
    prepare(lambda: source, "made_up", tmp_path / "data")
    train(toy_run(tmp_path / "data", **{"train.steps": 2, "train.seeds": 2}), tmp_path / "run")
    shown = report_training_videos(tmp_path / "run", {})
    assert shown.count("12 training videos, of which none has a segment, so there is no mAP") == 2 and "seed_1" in shown
    for seed in ("seed_0", "seed_1"):
        assert not (tmp_path / "run" / seed / METRICS).exists()
        assert len(json.loads((tmp_path / "run" / seed / PREDICTIONS).read_text())["results"]) == len(weak)
