"""Charts: what is drawn can be read off again."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.pages import pictures
from tests.report.test_page import contrast, drawn, themes
from tsc_jax.localization.segments import make_segments
from tsc_jax.report import charts, sections

NUMBERS = st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=30)


def by_class(svg, tag, name):
    return [each for each in svg.iter(tag) if name in each.get("class", "").split()]


@given(NUMBERS, st.integers(0, 10**6))
def test_a_line_reads_off_its_axes(values, first):
    values = np.array(values)
    steps = first + 10 * np.arange(len(values))
    svg = ElementTree.fromstring(charts.line_chart("<&>", [("one", steps, values, "red")], "step"))
    places = [float(line.get("y1")) for line in by_class(svg, "line", "grid")]
    labels = [float(text.text) for text in by_class(svg, "text", "minor")[: len(places)]]
    (curve,) = by_class(svg, "polyline", "curve")
    x, y = np.array([point.split(",") for point in curve.get("points").split()], float).T
    height = float(svg.get("height"))
    assert (y > 0).all() and (y < height).all() and (np.diff(x) >= 0).all() and x.max() < float(svg.get("width"))
    if len(places) > 1:
        slope, offset = np.polyfit(places, labels, 1)
        # Places are rounded to 0.1 pixels, labels to six digits.
        np.testing.assert_allclose(slope * y + offset, values, atol=0.3 * abs(slope) + 1e-4 * np.abs(labels).max())


def test_long_lines_keep_their_ends():
    steps = np.arange(50_000)
    chart = charts.line_chart("long", [("one", steps, steps / 1e3, "red")], "step")
    assert len(chart) < 20_000
    (curve,) = by_class(ElementTree.fromstring(chart), "polyline", "curve")
    points = curve.get("points").split()
    assert (points[0], points[-1]) == ("38.0,166.0", "310.0,26.0")


@given(st.lists(st.lists(st.floats(0, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=8))
def test_bars_are_as_long_as_their_values(values):
    values = np.array(values)
    names = [f"bar {i}" for i in range(len(values))]
    colours = {"a": "red", "b": "blue", "c": "green"}
    svg = ElementTree.fromstring(charts.bar_chart("bars", names, values, colours=colours))
    track = float(by_class(svg, "rect", "track")[0].get("width"))
    longest = values.sum(axis=1).max()
    drawn = {
        each.find("title").text: float(each.get("width")) for each in svg.iter("rect") if each.find("title") is not None
    }
    for name, row in zip(names, values, strict=True):
        for part, value in zip("abc", row, strict=True):
            if value:
                assert drawn[f"{name}: {part} {value:.4g}"] == pytest.approx(value / longest * track, abs=0.11)
    assert len(drawn) == np.count_nonzero(values)


def test_lanes_hold_what_scores():
    truth = make_segments(0, [1, 0], [10, 30], [20, 40])
    predictions = make_segments(0, [1, 1, 0], [12, 50, 33], [22, 60, 43], [0.8, 0.03, 0.4])
    svg = ElementTree.fromstring(
        charts.lanes("video", 100.0, [0, 1], ["<a>", "b"], truth, predictions, ["red", "red", "blue"])
    )
    ticks = {each.text: float(each.get("x")) for each in by_class(svg, "text", "minor")}
    scale = (ticks["100 s"] - ticks["0 s"]) / 100
    drawn = [
        (
            (float(each.get("x")) - ticks["0 s"]) / scale,
            float(each.get("width")) / scale,
            each.get("style"),
            each.find("title").text,
        )
        for each in svg.iter("rect")
    ]
    assert [row[0] for row in drawn] == pytest.approx([30, 33, 10, 12], abs=0.05)
    assert [row[1] for row in drawn] == pytest.approx([10] * 4, abs=0.05)
    assert [row[2] for row in drawn] == [
        "fill:var(--ink)",
        "fill:blue;opacity:0.50",
        "fill:var(--ink)",
        "fill:red;opacity:1.00",
    ]
    assert drawn[1][3] == "<a>, score 0.400: 33.0 to 43.0 s"


def test_lanes_where_nothing_scores():
    none = make_segments([], [], [], [])
    predictions = make_segments(0, [0, 0], [0, 2], [1, 3], [0.0, -1.0])
    svg = ElementTree.fromstring(charts.lanes("video", 4.0, [0], ["a"], none, predictions, ["red", "red"]))
    assert [each.get("style") for each in svg.iter("rect")] in ([], ["fill:red;opacity:0.00"])


def test_cells_are_shaded_by_their_values():
    svg = ElementTree.fromstring(charts.heat_map("map", ["a", "b"], ["c"], np.array([[0.5], [-0.25]]), full=0.5))
    styles = [each.get("style") for each in svg.iter("rect")]
    assert styles == [f"fill:{charts.shade(0.5, charts.colour(0))}", f"fill:{charts.shade(0.25, charts.colour(1))}"]
    assert charts.shade(0.3) == "color-mix(in oklab, var(--colour-0) 30%, var(--surface))"


@pytest.mark.parametrize("theme", themes().values(), ids=themes())
def test_lines_and_numbers_are_seen_on_their_ground(theme):
    curves = {f"test/mAP@{tiou}": (np.array([1, 2]), np.array([3.0, 4.0])) for tiou in range(1, 10)}
    lines = re.findall(r'class="curve" style="stroke:([^"]*)"', sections.map_over_steps(curves).body)
    assert len(lines) == len(set(lines)) == 9
    assert min(contrast(drawn(line, theme), theme["surface"]) for line in lines) >= 3
    cells = re.findall(r'style="fill:([^"]*)"', charts.heat_map("map", ["a"], ["b", "c"], np.array([[1.0, -1.0]])))
    assert len(cells) == 2
    assert min(contrast(drawn(cell, theme), theme["ink"]) for cell in cells) >= 4.5


@given(st.lists(st.floats(26, 200), min_size=1, max_size=14))
def test_names_at_the_ends_of_lines_do_not_touch(places):
    moved = charts.spread(places, 12, 26, 206)
    assert sorted(range(len(places)), key=moved.__getitem__) == sorted(range(len(places)), key=places.__getitem__)
    assert np.diff(np.sort(moved)).min(initial=12) >= 12 - 1e-6
    assert min(moved) >= 26 - 1e-6 and max(moved) <= 206 + 1e-6
    if np.diff(np.sort(places)).min(initial=12) >= 12:
        np.testing.assert_allclose(moved, places)


def test_every_threshold_is_named_at_the_end_of_its_line():
    tious = [0.1, 0.5, 0.9]
    curves = {f"test/mAP@{tiou}": (np.array([1, 2]), np.array([3.0, 50 - 40 * tiou])) for tiou in tious}
    (svg,) = pictures(sections.map_over_steps(curves).body)
    names = {each.text: float(each.get("y")) for each in svg.iter("text") if each.text and each.text.startswith("tIoU")}
    ends = [float(each.get("points").split()[-1].split(",")[1]) for each in svg.iter("polyline")]
    assert [names[f"tIoU {tiou}"] - 4 for tiou in tious] == pytest.approx(ends, abs=0.2)
