"""A page with a timeline for each video: what is there, what was found, and what the network saw."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.localization.segments import Segments
from tsc_jax.report.page import escape, table, write_page


@dataclasses.dataclass(frozen=True)
class VideoTimeline:
    """What the page shows of one video.

    Attributes:
      name: any text.
      duration: in seconds.
      predictions: of this video, in seconds; `video` is not looked at.
      truth: ground truth of this video, in seconds; None where it is not known.
      cas: fused [T, C + 1].
      attention: fused [T].
      thumbnails: (seconds, JPEG) of frames in the order of time, any number of them.
    """

    name: str
    duration: float
    predictions: Segments
    truth: Segments | None
    cas: np.ndarray
    attention: np.ndarray
    thumbnails: Sequence[tuple[float, bytes]] = ()


def write_timelines(
    path: Path, title: str, classes: Sequence[str], snippets_per_second: float, videos: Sequence[VideoTimeline]
) -> None:
    """Writes one HTML file with a timeline for each video.

    Args:
      path: replaced as a whole, or not at all.
      title: plain text.
      classes: the C class names.
      snippets_per_second: rate of `cas` and `attention`.
      videos: in the order in which they are listed.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    for video in videos:
        rows = zip(video.predictions.label, video.predictions.start, video.predictions.end, strict=True)
        cells = [(classes[label], round(start, 2), round(end, 2)) for label, start, end in rows]
        parts += [f"<h2>{escape(video.name)}</h2>", table(["action", "start", "end"], cells)]
    write_page(path, title, "\n".join(parts))
