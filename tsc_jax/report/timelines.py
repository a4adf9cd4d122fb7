"""A page with one timeline per video: ground truth, predictions, attention and class activations.

The page (templates/timelines.html, assets/timelines.*) draws one video at a time from blocks of JSON: "index" holds the
segments of all videos, "curves-I" the curves and thumbnails of video I, parsed only when that video is opened.
Without JavaScript the page shows tables of segments.
"""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tsc_jax.data.clock import Clock
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.report.lanes import colour_classes, shown_classes
from tsc_jax.report.page import COLOURS, write_page

LANES = 6  # classes per video that have a lane
LISTED = 20  # predictions per video in its table without JavaScript


class VideoTimeline(NamedTuple):
    """What the page shows of one video; curves have gaps where they are not finite."""

    name: str
    duration: float  # in seconds
    predictions: Segments  # in this video, in seconds; `video` is ignored
    truth: Segments | None  # ground truth of this video, in seconds; None if it is unknown
    cas: np.ndarray  # class activations and background, [T, C + 1]
    attention: np.ndarray  # [T]
    thumbnails: Sequence[tuple[float, bytes]] = ()  # frames as (seconds, JPEG), in the order of time

    @property
    def lanes(self) -> list[int]:
        """Returns the classes that have a lane, from top to bottom."""
        truth = make_segments([], [], [], []) if self.truth is None else self.truth
        return shown_classes(truth, self.predictions)[:LANES]


def write_timelines(
    path: Path, title: str, classes: Sequence[str], clock: Clock, videos: Sequence[VideoTimeline]
) -> None:
    """Writes one HTML file with one timeline per video, whole or not at all; equal arguments give equal bytes.

    `clock` is that of the snippets of all videos. 212 videos of 1,500 snippets and 600 predictions each make 19 MB
    without thumbnails. Raises ValueError if arrays have other shapes than `VideoTimeline` says, or times or scores are
    not finite.
    """
    for video in videos:
        if video.cas.shape != (*video.attention.shape, len(classes) + 1):
            raise ValueError(
                f"{video.name}: cas {video.cas.shape} and attention {video.attention.shape}, expected"
                f" [T, {len(classes) + 1}] and [T] of the same T"
            )
    index = {
        "classes": classes,
        "colours": colour_classes(len(classes), [video.lanes for video in videos], COLOURS),
        "snippets_per_second": clock.rate,
        "offset": clock.offset,
        "videos": [describe(video) for video in videos],
    }
    write_page(
        path,
        "timelines.html",
        title=title,
        facts=facts(videos),
        index=index,
        curves=map(curves, videos),
        named=lambda rows: [(classes[label], *numbers) for label, *numbers in rows],
        listed=LISTED,
    )


def describe(video: VideoTimeline) -> dict[str, Any]:
    """Returns a video's entry in the index: truth as [label, start, end], predictions with their score, best first."""
    truth, predictions = video.truth, video.predictions
    best = predictions[np.argsort(-predictions.score, kind="stable")]
    return {
        "name": video.name,
        "duration": round(float(video.duration), 3),
        "lanes": video.lanes,
        "truth": None if truth is None else as_rows(truth.label, truth.start, truth.end),
        "predictions": as_rows(best.label, best.start, best.end, best.score),
    }


def as_rows(*columns: np.ndarray) -> list[tuple]:
    """Returns columns as rows, rounded to three digits."""
    return list(zip(*(np.round(column, 3).tolist() for column in columns), strict=True))


def curves(video: VideoTimeline) -> dict[str, Any]:
    """Returns a video's curves in thousandths, class activations in the order of the lanes, and its thumbnails."""
    return {
        "attention": thousandths(video.attention),
        "activations": [thousandths(video.cas[:, label]) for label in video.lanes],
        "background": thousandths(video.cas[:, -1]),
        "thumbnails": [[round(float(time), 3), base64.b64encode(jpeg).decode()] for time, jpeg in video.thumbnails],
    }


def thousandths(values: np.ndarray) -> list[int | None]:
    """Returns the values times 1000 as integers, and None for values that are not finite."""
    scaled = np.rint(np.asarray(values, np.float64) * 1000).tolist()
    return [int(value) if math.isfinite(value) else None for value in scaled]


def facts(videos: Sequence[VideoTimeline]) -> str:
    """Returns what the page holds, in one line."""
    hours, seconds = divmod(round(sum(video.duration for video in videos)), 3600)
    length = f"{hours} h {seconds // 60} min" if hours else f"{seconds // 60} min {seconds % 60} s"
    predictions = sum(len(video.predictions) for video in videos)
    known = sum(video.truth is not None for video in videos)
    truth = {0: "unknown", len(videos): "known"}.get(known, f"of {known} known")
    number = f"{len(videos):,} video{'s' * (len(videos) != 1)}"
    return f"{number}, {length}; {predictions:,} predictions; ground truth {truth}"
