"""Pictures of videos are drawn whatever the names in them."""

import dataclasses

import numpy as np

from tests.report.made_up import CLASSES, RATE, made_up_dataset, made_up_evaluation
from tsc_jax.localization.segments import make_segments
from tsc_jax.methods.tscnet.bank_picture import draw_bank
from tsc_jax.report.figures import draw_video
from tsc_jax.report.run import write_report

UNFINISHED = "costs $\\frac$"  # as mathematics it is an error


def test_names_are_no_mathematics(tmp_path):
    segments = make_segments(0, [0], [1], [2], [0.5])
    curves = np.zeros((6, 2)), np.zeros(6)
    draw_video(tmp_path / "a.png", UNFINISHED, [UNFINISHED], segments, segments, *curves, 2.0)
    square = np.eye(2)
    draw_bank(tmp_path / "b.png", UNFINISHED, [UNFINISHED, "background"], np.arange(2), square, square, square, *square)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_name_of_several_folders_is_one_file(tmp_path):
    dataset = made_up_dataset(videos=2)
    named = zip(dataset.test.videos, ("monday/cam 1", "../../tuesday"), strict=True)
    videos = tuple(dataclasses.replace(video, name=name) for video, name in named)
    dataset = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, videos=videos))
    evaluation, metrics = made_up_evaluation(dataset)
    lengths = [int(video.duration * RATE) for video in videos]
    cas, attention = [np.zeros((t, len(CLASSES) + 1)) for t in lengths], [np.zeros(t) for t in lengths]
    evaluation = dataclasses.replace(evaluation, cas=cas, attention=attention)
    write_report(tmp_path / "run" / "it", evaluation, metrics, dataset, 2)
    drawn = sorted(path.relative_to(tmp_path / "run" / "it").as_posix() for path in tmp_path.rglob("*.png"))
    assert drawn == ["figures/.._.._tuesday.png", "figures/monday_cam 1.png"]
