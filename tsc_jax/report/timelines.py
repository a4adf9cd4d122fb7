"""A page with a timeline for each video: what is there, what was found, and what the network saw.

The page (assets/timelines.*) draws one video at a time from blocks of JSON: "index" holds the segments of all
videos, "curves-I" the attention, activations and thumbnails of video I, read only when that video is looked at.
Without JavaScript it shows tables of segments.
"""

import base64
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.report.lanes import colour_classes, shown_classes
from tsc_jax.report.page import COLOURS, asset, data_script, escape, sayable, table, write_page

LANES = 6  # classes of a video that have a lane
LISTED = 20  # predictions of a video in its table without JavaScript


@dataclasses.dataclass(frozen=True)
class VideoTimeline:
    """What the page shows of one video.

    Attributes:
      name: any text.
      duration: in seconds.
      predictions: of this video, in seconds; `video` is not looked at.
      truth: ground truth of this video, in seconds; None where it is not known.
      cas: fused [T, C + 1]; what is not finite in it, or in `attention`, is a gap.
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
    """Writes one HTML file with a timeline for each video; the same arguments give the same bytes.

    212 videos of 1,500 snippets and 600 predictions each make 19 MB, thumbnails not counted.

    Args:
      path: replaced as a whole, or not at all.
      title: plain text.
      classes: the C class names.
      snippets_per_second: rate of `cas` and `attention`.
      videos: in the order in which they are listed.

    Raises:
      ValueError: arrays of other shapes than `VideoTimeline` says, times or scores that are not finite.
      OSError: the file cannot be written.
    """
    for video in videos:
        _check(video, len(classes))
    lanes = [_lanes(video) for video in videos]
    index = {
        "classes": [sayable(name) for name in classes],
        "colours": colour_classes(len(classes), lanes, COLOURS),
        "snippets_per_second": snippets_per_second,
        "videos": [_segments(video, labels) for video, labels in zip(videos, lanes, strict=True)],
    }
    body = [
        f'<header class="title"><h1>{escape(title)}</h1><p class="soft">{escape(_facts(videos))}</p></header>',
        asset("timelines.html"),
        f"<noscript>{''.join(_tables(video, classes) for video in videos)}</noscript>",
        data_script("index", index),
        *(
            data_script(f"curves-{place}", _curves(video, labels))
            for place, (video, labels) in enumerate(zip(videos, lanes, strict=True))
        ),
    ]
    script = "".join(map(asset, ("timelines.js", "lanes.js", "viewer.js", "controls.js")))
    write_page(path, title, "\n".join(body), style=asset("timelines.css"), script=script)


def _check(video: VideoTimeline, classes: int) -> None:
    """Raises ValueError where the arrays of a video do not fit together."""
    snippets = len(video.attention)
    if video.attention.shape != (snippets,) or video.cas.shape != (snippets, classes + 1):
        raise ValueError(
            f"{video.name}: cas {video.cas.shape} and attention {video.attention.shape}, expected"
            f" [T, {classes + 1}] and [T] of the same T"
        )


def _lanes(video: VideoTimeline) -> list[int]:
    """The classes that have a lane, from top to bottom."""
    truth = make_segments([], [], [], []) if video.truth is None else video.truth
    return shown_classes(truth, video.predictions)[:LANES]


def _segments(video: VideoTimeline, lanes: Sequence[int]) -> dict[str, Any]:
    """What the index says of a video: [label, start, end] of truth and [label, start, end, score], the best first."""
    truth, best = video.truth, np.argsort(-video.predictions.score, kind="stable")
    return {
        "name": sayable(video.name),
        "duration": round(float(video.duration), 3),
        "lanes": list(lanes),
        "truth": None if truth is None else _rows(truth.label, truth.start, truth.end),
        "predictions": _rows(*(getattr(video.predictions, name)[best] for name in ("label", "start", "end", "score"))),
    }


def _rows(*columns: np.ndarray) -> list[list[float]]:
    """Columns as rows, rounded to three digits."""
    return [list(row) for row in zip(*(np.round(column, 3).tolist() for column in columns), strict=True)]


def _curves(video: VideoTimeline, lanes: Sequence[int]) -> dict[str, Any]:
    """What the curves of a video are drawn from, in thousandths, class activations in the order of the lanes."""
    return {
        "attention": _thousandths(video.attention),
        "activations": [_thousandths(video.cas[:, label]) for label in lanes],
        "background": _thousandths(video.cas[:, -1]),
        "thumbnails": [[round(float(time), 3), base64.b64encode(jpeg).decode()] for time, jpeg in video.thumbnails],
    }


def _thousandths(values: np.ndarray) -> list[int | None]:
    """Values times 1000 as integers, None for what is not finite."""
    scaled = np.rint(np.asarray(values, np.float64) * 1000).tolist()
    return [int(value) if math.isfinite(value) else None for value in scaled]


def _facts(videos: Sequence[VideoTimeline]) -> str:
    """What the page holds, in one line."""
    hours, seconds = divmod(round(sum(video.duration for video in videos)), 3600)
    length = f"{hours} h {seconds // 60} min" if hours else f"{seconds // 60} min {seconds % 60} s"
    found = sum(len(video.predictions) for video in videos)
    known = sum(video.truth is not None for video in videos)
    truth = {0: "not known", len(videos): "known"}.get(known, f"of {known} known")
    return f"{len(videos):,} video{'s' * (len(videos) != 1)}, {length}; {found:,} predictions; ground truth {truth}"


def _tables(video: VideoTimeline, classes: Sequence[str]) -> str:
    """The ground truth and the best predictions of a video as HTML tables."""
    parts = [f"<h2>{escape(video.name)}</h2>"]
    if video.truth is not None:
        rows = _rows(video.truth.label, video.truth.start, video.truth.end)
        parts.append(_table("ground truth", rows, classes))
    rows = _segments(video, ())["predictions"]
    best = f", the {LISTED} best of {len(rows)}" if len(rows) > LISTED else ""
    parts.append(_table(f"predictions{best}", rows[:LISTED], classes, ("score",)))
    return "\n".join(parts)


def _table(caption: str, rows: Sequence[Sequence[float]], classes: Sequence[str], more: Sequence[str] = ()) -> str:
    if not rows:
        return f'<p class="soft">{caption}: none</p>'
    named = [(classes[int(label)], *numbers) for label, *numbers in rows]
    return table(["action", "start (s)", "end (s)", *more], named, caption)
