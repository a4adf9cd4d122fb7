"""Draws small SVG charts for a page, in the colours of page.css, so that they follow the light and the dark theme.

Tooltips give the numbers behind the marks. The functions here compute what stands where; templates/charts.svg draws it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from tsc_jax.localization.segments import Segments
from tsc_jax.report.lanes import drawn_predictions
from tsc_jax.report.page import COLOURS, macros

LETTER = 6.3  # mean width of a letter, in pixels
NAME_LIMIT = 34  # letters shown of a name
POINT_LIMIT = 600  # points of a line; more cannot be told apart
LANES_WIDTH = 760  # pixels
PLAIN = {"": "var(--colour-0)"}  # colours of bars of one part
STRONGEST_CELL = 0.5  # share of colour at which the number in a cell can still be read


class Axis(NamedTuple):
    """A linear axis that shows values from `low` to `high` at the pixels from `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float

    @property
    def ticks(self) -> np.ndarray:
        """Returns a few round values inside the limits."""
        ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        slack = 1e-9 * (self.high - self.low)
        return ticks[(ticks >= self.low - slack) & (ticks <= self.high + slack)]

    def place(self, values):
        """Returns the pixels of values."""
        return self.begin + (values - self.low) / (self.high - self.low) * (self.end - self.begin)


def make_axis(values: Iterable[float], begin: float, end: float) -> Axis:
    """Returns an axis from the smallest to the largest of the values."""
    low, high = np.min(values), np.max(values)
    return Axis(low, high if low < high else low + 1, begin, end)


def colour(number: int) -> str:
    """Returns one of the page's colours; after the last one they start again."""
    return f"var(--colour-{number % COLOURS})"


def shade(share: float, of: str = "var(--colour-0)", ground: str = "var(--surface)") -> str:
    """Returns a mixture of two colours: share 0 is `ground`, share 1 is `of`."""
    return f"color-mix(in oklab, {of} {100 * min(max(share, 0), 1):.0f}%, {ground})"


def cell_colour(share: float) -> str:
    """Returns the colour of a cell at this share, from -1 to 1, of the strongest value."""
    return shade(STRONGEST_CELL * abs(share), colour(0 if share >= 0 else 1))


def shortened(name: str, limit: int = NAME_LIMIT) -> str:
    """Returns at most `limit` letters of a name."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def text_width(texts: Iterable[str]) -> float:
    """Returns the width of the longest text, in pixels."""
    return LETTER * max(map(len, texts), default=0)


def names_width(names: Iterable[str]) -> float:
    """Returns the width of a column of names, in pixels."""
    return 12 + text_width(map(shortened, names))


def line_chart(
    title: str,
    lines: Sequence[tuple[str, np.ndarray, np.ndarray, str]],
    x_name: str,
    *,
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (320, 200),
    ends: Sequence[str] = (),
) -> Markup:
    """Draws lines (name, x [N] rising, y [N], CSS colour); an axis without limits shows 0 and all values.

    `ends` are texts at the right ends of the lines, one per line, or none.
    """
    width, height = size
    right = width - 10 - (6 + text_width(ends) if ends else 0)
    x_axis = make_axis(x_limits or np.concatenate([[0], *(x for _, x, _, _ in lines)]), 38, right)
    y_axis = make_axis(y_limits or np.concatenate([[0], *(y for _, _, y, _ in lines)]), height - 34, 26)
    curves = []
    for name, x, y, stroke in lines:
        shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINT_LIMIT)).astype(int))
        points = np.stack([x_axis.place(x[shown]), y_axis.place(y[shown])], axis=1).tolist()
        curves.append((stroke, points, f"{name}: {y[-1]:.3g} at {x[-1]:g}" if len(x) else name))
    last = [points[-1][1] if points else y_axis.begin for _, points, _ in curves]
    marks = zip(ends, spread(last, 12, y_axis.end, y_axis.begin), strict=True) if ends else ()
    return SVG.line_chart(title, width, height, x_axis, y_axis, x_name, curves, [*marks])


def spread(places: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Moves places from `low` to `high` apart, so that neighbours are at least `distance` apart where there is room."""
    order = np.argsort(places, kind="stable")
    steps = distance * np.arange(len(order))
    moved = np.maximum.accumulate(np.asarray(places, float)[order] - steps) + steps
    moved = np.minimum(moved, high - steps[::-1])
    return np.maximum(moved, low)[np.argsort(order)].tolist()


def bar_chart(
    title: str,
    names: Sequence[str],
    values: np.ndarray,
    *,
    colours: Mapping[str, str] = PLAIN,
    limit: float | None = None,
    texts: Sequence[str] | None = None,
    length: int = 240,
) -> Markup:
    """Draws R horizontal bars that consist of P parts.

    `values` [R, P] are at least 0; NaN draws nothing. `colours` are those of CSS by name of the part, `texts` stand at
    the ends of the bars. A bar of value `limit`, or of the largest sum if that is None, is `length` pixels long.
    """
    values = np.nan_to_num(np.reshape(values, (len(names), -1)))
    texts = [""] * len(names) if texts is None else texts
    left = names_width(names)
    widths = values * length / (limit or values.sum(axis=1).max(initial=0) or 1)
    starts = left + np.cumsum(widths, axis=1) - widths
    width = math.ceil(left + length + 8 + text_width(texts))
    return SVG.bar_chart(title, width, left, length, names, texts, colours, values, starts, widths)


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], values: np.ndarray, full: float = 1.0) -> Markup:
    """Draws values [R, C] as cells, the strongest colour at `full`; negative values have another colour."""
    cell = 36 if max(len(rows), len(columns)) <= 12 else 16
    left, top = names_width(rows), 21 + 0.75 * names_width(columns)
    # The slanted name of the last column extends to the right.
    width = left + cell * len(columns) + 0.75 * text_width([shortened(columns[-1])])
    return SVG.heat_map(title, math.ceil(width), left, math.ceil(top), cell, rows, columns, values, full)


def lanes(
    title: str,
    duration: float,
    shown: Sequence[int],
    classes: Sequence[str],
    truth: Segments,
    predictions: Segments,
    colours: Sequence[str],
) -> Markup:
    """Draws one lane per class: ground truth above, predictions below, more opaque with a higher score.

    `shown` are the classes that have a lane, `colours` the CSS colours of the predictions. Both kinds of segments are
    of one video, in seconds, like its `duration`.
    """
    axis = make_axis((0, duration), names_width(classes[label] for label in shown), LANES_WIDTH - 10)
    drawn, opacity = drawn_predictions(predictions)
    columns = (predictions.start, predictions.end, predictions.score, np.array(colours), opacity)
    rows = []
    for label in shown:
        instances, own = truth[truth.label == label], drawn[predictions.label[drawn] == label]
        times = zip(instances.start, instances.end, strict=True)
        rows.append((classes[label], times, zip(*(column[own] for column in columns), strict=True)))
    return SVG.lanes(title, LANES_WIDTH, axis, rows)


SVG = macros("charts.svg", shortened=shortened, cell_colour=cell_colour)
