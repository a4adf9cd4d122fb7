"""A picture of one video: what is there, what was found, and what the network saw."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tsc_jax.localization.segments import Segments
from tsc_jax.report.lanes import shown_classes

LANE_LIMIT = 12


@plt.rc_context({"text.parse_math": False})  # names may hold dollars
def draw_video(
    path: Path,
    title: str,
    classes: Sequence[str],
    truth: Segments,
    predictions: Segments,
    cas: np.ndarray,
    attention: np.ndarray,
    snippets_per_second: float,
) -> None:
    """Draws ground truth, predictions, fused attention and class activations along time, as PNG.

    Args:
      path: of the picture; written under another name first, then renamed.
      title: name of the video and what else is to be said.
      classes: the C class names.
      truth: ground truth of this video, in seconds.
      predictions: of this video, in seconds; overlapping ones of a class fade with their score.
      cas: fused [T, C + 1].
      attention: fused [T].
      snippets_per_second: rate of both.
    """
    shown = shown_classes(truth, predictions)[:LANE_LIMIT]
    colours = {label: plt.get_cmap("tab10")(i % 10) for i, label in enumerate(shown)}
    seconds = (np.arange(len(attention)) + 0.5) / snippets_per_second
    figure, (segments, curves, activity) = plt.subplots(
        3, 1, sharex=True, figsize=(12, 4.4 + 0.45 * len(shown)), height_ratios=[0.9 + 0.55 * len(shown), 2, 2.6],
        layout="constrained",
    )  # fmt: skip
    draw_lanes(segments, classes, shown, colours, truth, predictions)
    curves.fill_between(seconds, attention, step="mid", color="0.75")
    curves.set(ylim=(0, 1), ylabel="attention")
    for label in shown:
        activity.plot(seconds, cas[:, label], color=colours[label], label=classes[label])
    activity.plot(seconds, cas[:, -1], color="0.4", linestyle=":", label="background")
    activity.set(ylabel="class activation", xlabel="seconds", xlim=(0, len(attention) / snippets_per_second))
    activity.legend(loc="upper right", fontsize="small", ncols=min(4, len(shown) + 1), framealpha=0.8)
    for axis in (segments, curves, activity):
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left")
    save(figure, path)


def draw_lanes(axis, classes, shown, colours, truth: Segments, predictions: Segments) -> None:
    """A lane a class: ground truth in the upper half, hatched predictions below, stronger where they score more."""
    best = max(predictions.score.max(initial=0), 1e-12)
    for lane, label in enumerate(shown):
        for one in np.flatnonzero(truth.label == label):
            bar(axis, truth, one, lane - 0.4, colours[label], alpha=1)
        mine = np.flatnonzero(predictions.label == label)
        for one in mine[np.argsort(predictions.score[mine], kind="stable")]:
            strength = float(np.clip(predictions.score[one] / best, 0, 1))
            if strength > 0.05:
                bar(axis, predictions, one, lane + 0.02, colours[label], alpha=strength, hatch="////")
    axis.set_yticks(range(len(shown)), [classes[label] for label in shown])
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_title("upper bars: ground truth; hatched: predictions, stronger where they score more", loc="left", size=9)


def bar(axis, segments: Segments, row: int, bottom: float, colour, **style) -> None:
    """One segment as a bar 0.38 high."""
    width = segments.end[row] - segments.start[row]
    axis.barh(
        bottom, width, height=0.38, left=segments.start[row], align="edge", color=colour, edgecolor="white", **style
    )


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, under another name first, and closes it."""
    partial = path.with_suffix(".tmp")  # no longer than the name itself: names may be as long as the disk allows
    figure.savefig(partial, format="png", dpi=110)
    plt.close(figure)
    partial.replace(path)
