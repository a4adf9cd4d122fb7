"""Pictures are drawn whatever the names in them, and are written as a whole or not at all."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.report.made_up import made_up_dataset, made_up_evaluation
from tsc_jax.data.clock import Clock
from tsc_jax.errors import InputError
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.figures import draw_video, save
from tsc_jax.report.run import write_report

UNFINISHED = "costs $\\frac$"  # as mathematics it is an error


def test_names_are_not_read_as_mathematics(tmp_path):
    segments = make_segments(0, [0], [1], [2], [0.5])
    curves = np.zeros((6, 2)), np.zeros(6)
    save(draw_video(UNFINISHED, [UNFINISHED], segments, segments, *curves, Clock(2.0)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path):
    path = tmp_path / f"{'a' * 251}.png"
    save(plt.figure(), path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").mkdir()
    figure = plt.figure()
    with pytest.raises(InputError, match=r"a\.png: cannot be written"):
        save(figure, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert not plt.fignum_exists(figure.number)


def test_a_name_of_several_folders_is_one_file(tmp_path):
    dataset = made_up_dataset(videos=2)
    named = zip(dataset.test.videos, ("monday/cam 1", "../../tuesday"), strict=True)
    videos = tuple(dataclasses.replace(video, name=name) for video, name in named)
    dataset = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, videos=videos))
    evaluation, metrics = made_up_evaluation(dataset, outputs=True)
    write_report(tmp_path / "run" / "it", evaluation, metrics, dataset, 2)
    drawn = sorted(path.relative_to(tmp_path / "run" / "it").as_posix() for path in tmp_path.rglob("*.png"))
    assert drawn == ["figures/.._.._tuesday.png", "figures/monday_cam 1.png"]


@pytest.mark.parametrize(("classes", "letters"), [(1, 3), (4, 20), (6, 60)])
def test_the_legend_hides_no_curve(classes, letters):
    names = [f"{place}".ljust(letters, "x") for place in range(classes)]
    segments = make_segments(0, np.arange(classes), np.zeros(classes), np.ones(classes), np.ones(classes))
    figure = draw_video("", names, segments, segments, np.ones((8, classes + 1)), np.ones(8), Clock(2.0))
    figure.draw_without_rendering()
    (legend,) = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    legend, whole = legend.get_window_extent(), figure.bbox
    axes = [each.get_window_extent() for each in figure.axes]
    assert not any(legend.overlaps(each) for each in axes)
    assert legend.x0 >= 0 and legend.x1 <= whole.x1 and legend.y0 >= 0
    assert min(each.height for each in axes) > 60
