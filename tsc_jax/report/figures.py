"""Draws a picture of one video: ground truth, predictions, and the outputs of the network."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsc_jax.data.clock import Clock
from tsc_jax.data.dataset import Dataset
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth
from tsc_jax.files import replacing
from tsc_jax.localization.segments import Segments
from tsc_jax.report.lanes import drawn_predictions, shown_classes

LANE_LIMIT = 12  # classes that have a lane
LEGEND_WIDTH = 150  # letters


class Picture(Figure):
    """A figure that a notebook shows, whether it uses pyplot or not."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=80)
        return png.getvalue()


@matplotlib.rc_context({"text.parse_math": False})  # names may contain dollars
def draw_video(
    title: str,
    classes: Sequence[str],
    truth: Segments,
    predictions: Segments,
    cas: np.ndarray,
    attention: np.ndarray,
    clock: Clock,
) -> Picture:
    """Draws ground truth, predictions, attention and class activations over time.

    `truth` and `predictions` are of this video, in seconds; `cas` [T, C + 1] are class activations and background,
    `attention` is [T]; `clock` is that of the video.
    """
    shown = shown_classes(truth, predictions)[:LANE_LIMIT]
    colours = [matplotlib.colormaps["tab10"](lane % 10) for lane in range(len(shown))]
    seconds = clock.seconds(np.arange(len(attention)) + 0.5)
    # Not by pyplot, which would choose how notebooks show figures.
    figure = Picture(figsize=(12, 4.4 + 0.45 * len(shown)), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[0.9 + 0.55 * len(shown), 2, 2.6])
    lanes, curve, activations = axes
    drawn, opacity = drawn_predictions(predictions)
    for lane, (label, colour) in enumerate(zip(shown, colours, strict=True)):
        draw_segments(lanes, truth[truth.label == label], lane - 0.4, colour, 1.0)
        own = drawn[predictions.label[drawn] == label]
        draw_segments(lanes, predictions[own], lane + 0.02, colour, opacity[own], hatch="////")
        activations.plot(seconds, cas[:, label], color=colour, label=classes[label])
    lanes.set_yticks(range(len(shown)), [classes[label] for label in shown])
    lanes.set_ylim(len(shown) - 0.5, -0.5)
    lanes.set_title(
        "upper bars: ground truth; hatched bars: predictions, more opaque with a higher score", loc="left", size=9
    )
    curve.fill_between(seconds, attention, step="mid", color="0.75")
    curve.set(ylim=(0, 1), ylabel="attention")
    activations.plot(seconds, cas[:, -1], color="0.4", linestyle=":", label="background")
    activations.set(ylabel="class activation", xlabel="seconds", xlim=(0, clock.seconds(len(attention))))
    longest = max(len(classes[label]) for label in shown) if shown else 0
    columns = max(1, min(len(shown) + 1, LEGEND_WIDTH // (longest + 8)))
    # Below the axes, where it hides nothing.
    figure.legend(loc="outside lower left", fontsize="small", ncols=columns, frameon=False)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def draw_videos(evaluation: Evaluation, dataset: Dataset, number: int, what: str) -> Iterator[tuple[str, Picture]]:
    """Yields the names and the pictures of `number` test videos, spread evenly; `what` stands beside the name."""
    both = (ground_truth(dataset.test), evaluation.predictions)
    seen = [index for index, outputs in enumerate(evaluation.outputs) if outputs is not None]
    for place in np.linspace(0, len(seen) - 1, min(number, len(seen))).astype(int):
        index = seen[place]
        video, outputs = dataset.test.videos[index], evaluation.outputs[index]
        own = (segments[segments.video == index] for segments in both)
        title = f"{video.name}   {what}"
        yield video.name, draw_video(title, dataset.classes, *own, outputs["cas"], outputs["attention"], video.clock)


def draw_segments(axis: Axes, segments: Segments, bottom: float, colour, opacity, **style) -> None:
    """Draws segments as bars above `bottom`; `opacity` is one number or one per segment."""
    for start, end, alpha in np.broadcast(segments.start, segments.end, opacity):
        axis.barh(bottom, end - start, 0.38, start, align="edge", color=colour, edgecolor="white", alpha=alpha, **style)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file, whole or not at all, and closes the figure."""
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    finally:
        plt.close(figure)
