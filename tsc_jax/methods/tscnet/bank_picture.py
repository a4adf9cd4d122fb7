"""The picture of a bank."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from tsc_jax.report.figures import save

WRITTEN = 12  # rows of a bank up to which each cell has its number written into it
CLASSES, ROWS = "class of the snippets", "row of the bank"


@plt.rc_context({"text.parse_math": False})  # names may hold dollars
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
    """Draws attention and likeness of the classes to the rows, the rows' similarity, their use and drift, as PNG.

    Args:
      path: of the picture; written under another name first, then renamed.
      title: of it, lines.
      classes: the C class names, then "background".
      order: in which the rows stand, int [K].
      attention: of the classes to the rows, [C + 1, K].
      likeness: of classes and rows, [C + 1, K].
      similarity: of the rows, [K, K].
      usage: share of each row, [K].
      drift: of each row, [K].
    """
    rows, names = len(order), [str(row) for row in order]
    cell = float(np.clip(8 / rows, 0.115, 0.62))  # inches
    across, down = cell * rows, cell * len(classes)
    figure, axes = plt.subplot_mosaic(
        [["attention", "attention", "likeness", "likeness"], ["similarity", "similarity", "usage", "drift"]],
        figsize=(2 * across + 6, down + across + 3.8), height_ratios=[down, across], layout="constrained",
    )  # fmt: skip
    size = float(np.clip(60 * cell, 6, 9))
    shares = 100 * attention[:, order]
    draw_cells(axes["attention"], shares, classes, names, size, "viridis", 0, max(shares.max(), 200 / rows), 0)
    axes["attention"].set(title="Attention of each class's snippets to the rows (%)", xlabel=ROWS, ylabel=CLASSES)
    draw_cells(axes["likeness"], likeness[:, order], classes, names, size, "RdBu_r", -1, 1, 1)
    axes["likeness"].set(title="Likeness of rows and mean of each class (cosine)", xlabel=ROWS, ylabel=CLASSES)
    draw_cells(axes["similarity"], similarity[np.ix_(order, order)], names, names, size, "RdBu_r", -1, 1, 1)
    axes["similarity"].set(title="Similarity of the rows to each other (cosine)", xlabel=ROWS, ylabel=ROWS)
    draw_bars(axes["usage"], 100 * usage[order], names, size)
    axes["usage"].axvline(100 / rows, color="0.3", linestyle=":")
    axes["usage"].set(title="Use (dotted: equal shares)", xlabel="share of all attention (%)", ylabel=ROWS)
    draw_bars(axes["drift"], 100 * drift[order], names, size)
    axes["drift"].set(title="Drift since the fit", xlabel="distance (% of its length)")
    figure.suptitle(title, x=0.01, ha="left", size=12)
    save(figure, path)


def draw_cells(axis: Axes, values, lines, columns, size: float, colours: str, least, most, digits: int) -> None:
    """A matrix as coloured cells with a scale; few of them with their numbers."""
    image = axis.imshow(values, cmap=colours, vmin=least, vmax=most, interpolation="nearest")
    axis.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > WRITTEN else 0, size=size)
    axis.set_yticks(range(len(lines)), lines, size=size)
    axis.tick_params(length=0)
    axis.figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02).ax.tick_params(labelsize=8)
    for line, column in np.ndindex(values.shape) if len(columns) <= WRITTEN else ():
        red, green, blue, _ = image.cmap(image.norm(values[line, column]))
        ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
        number = np.round(values[line, column], digits) + 0.0  # no -0.0
        axis.text(column, line, f"{number:.{digits}f}", ha="center", va="center", size=8, color=ink)


def draw_bars(axis: Axes, percents: np.ndarray, names: Sequence[str], size: float) -> None:
    """A bar for each row, from the top down."""
    axis.barh(range(len(names)), percents, color="tab:blue")
    axis.set_yticks(range(len(names)), names, size=size)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.spines[["top", "right"]].set_visible(False)
