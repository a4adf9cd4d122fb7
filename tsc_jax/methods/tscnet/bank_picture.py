"""Draws a bank as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from tsc_jax.report.charts import shortened
from tsc_jax.report.figures import save

NUMBER_LIMIT = 12  # columns of a map whose cells have their numbers written into them
ROWS = "row of the bank"


@plt.rc_context(
    {"text.parse_math": False, "axes.titlelocation": "left", "axes.titlesize": 10}
)  # names may hold dollars
def draw_bank(
    path: Path,
    title: str,
    classes: Sequence[str],
    order: np.ndarray,
    attention: np.ndarray,
    likeness: np.ndarray,
    similarity: np.ndarray,
    usage: np.ndarray,
    drift: np.ndarray,
) -> None:
    """Draws how the classes relate to the rows of the bank, and the similarity, use and drift of the rows.

    Args:
      path: the PNG file, which is replaced as a whole.
      title: one or several lines.
      classes: the C class names, then "background".
      order: the rows in the order in which they are drawn, int [K].
      attention: of the snippets of each class to each row, [C + 1, K].
      likeness: cosine of each class and each row, [C + 1, K].
      similarity: cosines of the rows, [K, K].
      usage: share of each row in all attention, [K].
      drift: change of each row since the fit, relative to its length, [K].
    """
    names, rows = [shortened(name) for name in classes], [str(row) for row in order]
    cell = float(np.clip(8 / len(rows), 0.115, 0.62))  # inches
    width, down = max(cell * len(rows), 4), cell * len(names)
    figure, axes = plt.subplot_mosaic(
        [["attention", "attention", "likeness", "likeness"], ["similarity", "similarity", "usage", "drift"]],
        figsize=(max(2 * width + 0.16 * max(map(len, names)) + 2, 13), down + cell * len(rows) + 3.2),
        height_ratios=[down, cell * len(rows)], layout="constrained",
    )  # fmt: skip
    shares, size = 100 * attention[:, order], float(np.clip(60 * cell, 6, 9))
    scale = (0, max(shares.max(), 200 / len(rows)))
    draw_map(axes["attention"], shares, names, rows, size, "viridis", scale, 0)
    draw_map(axes["likeness"], likeness[:, order], names, rows, size, "RdBu_r", (-1, 1), 1)
    draw_map(axes["similarity"], similarity[np.ix_(order, order)], rows, rows, size, "RdBu_r", (-1, 1), 1)
    draw_bars(axes["usage"], 100 * usage[order], rows, size)
    draw_bars(axes["drift"], 100 * drift[order], rows, size)
    axes["usage"].axvline(100 / len(rows), color="0.3", linestyle=":")
    axes["attention"].set(title="Attention of the snippets of each class to the rows (%)", xlabel=ROWS)
    axes["likeness"].set(title="Likeness of each row to the mean of each class (cosine)", xlabel=ROWS)
    axes["similarity"].set(title="Similarity of the rows (cosine)", xlabel=ROWS, ylabel=ROWS)
    axes["usage"].set(title="Use (dotted: equal)", xlabel="% of all attention", ylabel=ROWS)
    axes["drift"].set(title="Drift since the fit", xlabel="% of the row's length")
    figure.suptitle(title, x=0.01, ha="left", size=10)
    save(figure, path)


def draw_map(
    axis: Axes, values: np.ndarray, lines: list[str], columns: list[str], size: float, colours: str, limits, digits: int
) -> None:
    """Draws a matrix as coloured cells with a colour bar; the cells of a narrow matrix show their numbers."""
    image = axis.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > NUMBER_LIMIT else 0, size=size)
    axis.set_yticks(range(len(lines)), lines, size=size)
    axis.tick_params(length=0)
    axis.figure.colorbar(image, ax=axis, pad=0.02).ax.tick_params(labelsize=8)
    for line, column in np.ndindex(values.shape) if len(columns) <= NUMBER_LIMIT else ():
        red, green, blue, _ = image.cmap(image.norm(values[line, column]))
        ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
        number = np.round(values[line, column], digits) + 0.0  # no -0.0
        axis.text(column, line, f"{number:.{digits}f}", ha="center", va="center", size=8, color=ink)


def draw_bars(axis: Axes, percents: np.ndarray, names: Sequence[str], size: float) -> None:
    """Draws one bar per row, from the top down."""
    axis.barh(range(len(names)), percents, color="tab:blue")
    axis.set_yticks(range(len(names)), names, size=size)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.spines[["top", "right"]].set_visible(False)
