"""Small charts as SVG, for use in a page: no script, colours of `page.css`, so that they follow light and dark.

Where a mark stands for numbers, its tooltip says them. All names are plain text and escaped here.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from tsc_jax.localization.segments import Segments
from tsc_jax.report.page import COLOURS, asset, escape

STYLE = asset("charts.css")
LETTER = 6.3  # mean width of a letter in the charts' font, in pixels
NAME_LIMIT = 34  # letters of a name that are shown
MOST_POINTS = 600  # of a line; more cannot be told apart
STRONGEST_CELL = 0.5  # share of colour in a cell, on which its number can still be read
FAINTEST = 0.05  # predictions below this share of a video's best score are not drawn


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
      name: for its tooltip and the legend.
      x: [N], rising.
      y: [N].
      colour: CSS.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str


def colour(number: int) -> str:
    """One of the page's colours, taken in turn."""
    return f"var(--colour-{number % COLOURS})"


def shade(share: float, of: str = "var(--colour-0)", ground: str = "var(--surface)") -> str:
    """A colour mixed with another, that of the page's surface; share 0 is the ground, 1 the colour."""
    return f"color-mix(in oklab, {of} {100 * min(max(share, 0), 1):.0f}%, {ground})"


def legend(names: Sequence[str], colours: Sequence[str]) -> str:
    """A line that tells which colour stands for what."""
    keys = (
        f'<span><i style="background:{fill}"></i>{escape(name)}</span>'
        for name, fill in zip(names, colours, strict=True)
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def line_chart(
    title: str,
    lines: Sequence[Line],
    x_name: str,
    *,
    y_limits: tuple[float, float] | None = None,
    x_limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (320, 200),
) -> str:
    """Lines over one pair of axes; limits that are not given follow from the lines, with 0 in both."""
    width, height = size
    left, right, top, bottom = 38, width - 10, 26, height - 34
    all_x, all_y = (np.concatenate([[], *(getattr(line, axis) for line in lines)]) for axis in "xy")
    x_ticks, to_x = axis(x_limits or (all_x.min(initial=0), all_x.max(initial=0)), left, right)
    y_ticks, to_y = axis(y_limits or (all_y.min(initial=0), all_y.max(initial=0)), bottom, top)
    parts = [text(0, 12, title, "title")]
    for tick in y_ticks:
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{to_y(tick):.1f}" y2="{to_y(tick):.1f}"/>')
        parts.append(text(left - 6, to_y(tick) + 4, f"{tick:g}", "minor end"))
    for tick in x_ticks:
        parts.append(text(to_x(tick), bottom + 15, f"{tick:g}", "minor middle"))
    parts.append(text(right, height - 3, x_name, "minor end"))
    for line in lines:
        shown = np.unique(np.linspace(0, len(line.x) - 1, min(len(line.x), MOST_POINTS)).astype(int))
        points = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x[shown], line.y[shown], strict=True))
        last = f"{line.name}: {line.y[-1]:.3g} at {line.x[-1]:g}" if len(line.x) else line.name
        style = f'style="stroke:{line.colour}"'
        parts.append(f'<polyline class="curve" {style} points="{points}"><title>{escape(last)}</title></polyline>')
        if len(shown) == 1:
            x, y = to_x(line.x[0]), to_y(line.y[0])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill:{line.colour}"/>')
    return svg(title, width, height, parts)


def axis(limits: tuple[float, float], begin: float, end: float) -> tuple[np.ndarray, Callable[[float], float]]:
    """Round ticks inside the limits, and a value's place in pixels, the limits being at `begin` and `end`."""
    low, high = limits
    high = high if low < high else low + 1
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    inside = ticks[(ticks >= low - slack) & (ticks <= high + slack)]
    return inside, lambda value: begin + (value - low) / (high - low) * (end - begin)


def bar_chart(
    title: str,
    names: Sequence[str],
    values: np.ndarray,
    *,
    parts_of: Sequence[str] = ("",),
    colours: Sequence[str] = ("var(--colour-0)",),
    limit: float | None = None,
    texts: Sequence[str] | None = None,
    length: int = 240,
) -> str:
    """Horizontal bars, each of one or several parts.

    Args:
      title: above the chart.
      names: of the R bars.
      values: [R, P], none negative; NaN for nothing to show.
      parts_of: names of the P parts.
      colours: of the P parts.
      limit: the value at full length; None: the longest bar's.
      texts: at the end of each bar.
      length: of the longest bar, in pixels.
    """
    values = np.nan_to_num(np.reshape(values, (len(names), -1)))
    texts = [""] * len(names) if texts is None else texts
    left = 12 + LETTER * max((len(shortened(name)) for name in names), default=0)
    right = left + length
    scale = length / (limit or values.sum(axis=1).max(initial=0) or 1)
    parts = [text(0, 12, title, "title")]
    for row, (name, of_bar, note) in enumerate(zip(names, values, texts, strict=True)):
        y, x = 24 + 20 * row, left
        parts.append(text(left - 6, y + 11, shortened(name), "end", name))
        parts.append(f'<rect class="track" x="{left:.1f}" y="{y}" width="{length}" height="14"/>')
        for part, value, fill in zip(parts_of, of_bar, colours, strict=True):
            tooltip = escape(f"{name}: {part} {value:.4g}" if part else f"{name}: {value:.4g}")
            style = f'style="fill:{fill}"'
            rectangle = f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="14" {style}>'
            parts.append(f"{rectangle}<title>{tooltip}</title></rect>" if value else "")
            x += value * scale
        parts.append(text(right + 6, y + 11, note))
    width = math.ceil(right + 8 + LETTER * max(map(len, texts), default=0))
    return svg(title, width, 28 + 20 * len(names), parts)


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], values: np.ndarray, full: float = 1.0) -> str:
    """Values [R, C] as cells, strongest at `full`; negative ones have another colour."""
    cell = 36 if max(len(rows), len(columns)) <= 12 else 16
    left = 12 + LETTER * max(len(shortened(name)) for name in rows)
    top = 30 + 0.75 * LETTER * max(len(shortened(name)) for name in columns)
    parts = [text(0, 12, title, "title")]
    for column, name in enumerate(columns):
        x, y = left + cell * (column + 0.5), top - 5
        label = text(x, y, shortened(name), "", name)
        parts.append(f'<g transform="rotate(-45 {x:.1f} {y:.1f})">{label}</g>')
    for row, name in enumerate(rows):
        y = top + cell * row
        parts.append(text(left - 6, y + cell / 2 + 4, shortened(name), "end", name))
        for column, other in enumerate(columns):
            value, x = float(values[row, column]), left + cell * column
            fill = shade(STRONGEST_CELL * abs(value) / full, colour(0) if value >= 0 else colour(1))
            place = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 1}" height="{cell - 1}"'
            tooltip = escape(f"{name}, {other}: {value:.3f}")
            parts.append(f'<rect {place} style="fill:{fill}"><title>{tooltip}</title></rect>')
            if cell > 30:
                number = f"{value:.2f}".replace("0.", ".")
                parts.append(text(x + cell / 2, y + cell / 2 + 4, number, "middle"))
    # The last column's slanted name stands out to the right.
    width = left + cell * len(columns) + 0.75 * LETTER * len(shortened(columns[-1]))
    return svg(title, math.ceil(width), math.ceil(top + cell * len(rows)), parts)


def lanes(
    title: str,
    duration: float,
    shown: Sequence[int],
    classes: Sequence[str],
    truth: Segments,
    predictions: Segments,
    colours: Sequence[str],
    width: int = 760,
) -> str:
    """A lane for each of the classes `shown`: ground truth above, predictions below, stronger where they score more.

    Args:
      title: above the lanes.
      duration: of the video, in seconds.
      shown: classes, in the order of their lanes.
      classes: the C class names.
      truth: ground truth of the video, in seconds.
      predictions: of the video, in seconds.
      colours: of each prediction.
      width: in pixels.
    """
    left = 12 + LETTER * max((len(shortened(classes[label])) for label in shown), default=0)
    ticks, to_x = axis((0, duration), left, width - 10)
    bottom = 24 + 26 * len(shown)
    best = predictions.score.max(initial=1e-12)
    parts = [text(0, 12, title, "title")]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{to_x(tick):.1f}" x2="{to_x(tick):.1f}" y1="20" y2="{bottom}"/>')
        parts.append(text(to_x(tick), bottom + 13, f"{tick:g} s", "minor middle"))
    for lane, label in enumerate(shown):
        y = 22 + 26 * lane
        parts.append(text(left - 6, y + 14, shortened(classes[label]), "end", classes[label]))
        for row in np.flatnonzero(truth.label == label):
            parts.append(segment(truth, row, to_x, y, f"{classes[label]}, ground truth", "fill:var(--ink)"))
        of_class = np.flatnonzero((predictions.label == label) & (predictions.score >= FAINTEST * best))
        for row in of_class[np.argsort(predictions.score[of_class], kind="stable")]:
            score = predictions.score[row]
            style = f"fill:{colours[row]};opacity:{min(score / best, 1):.2f}"
            parts.append(segment(predictions, row, to_x, y + 11, f"{classes[label]}, score {score:.3f}", style))
    return svg(title, width, bottom + 18, parts)


def segment(segments: Segments, row: int, to_x: Callable[[float], float], y: float, what: str, style: str) -> str:
    """One segment as a bar in a lane."""
    start, end = float(segments.start[row]), float(segments.end[row])
    place = f'x="{to_x(start):.1f}" y="{y}" width="{to_x(end) - to_x(start):.1f}" height="9"'
    tooltip = escape(f"{what}: {start:.1f} to {end:.1f} s")
    return f'<rect {place} style="{style}"><title>{tooltip}</title></rect>'


def text(x: float, y: float, content: str, kind: str = "", tooltip: str = "") -> str:
    """A line of text whose baseline begins at x, y; `kind` names classes of charts.css."""
    inner = f"<title>{escape(tooltip)}</title>" if tooltip else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{inner}{escape(content)}</text>'


def shortened(name: str) -> str:
    """A name as a chart shows it."""
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 1]}…"


def svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    """The picture around the parts; it shrinks to the width of the page but never grows."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg class="chart" role="img" aria-label="{escape(title)}" {size}>{"".join(parts)}</svg>'
