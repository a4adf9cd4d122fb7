"""Stretches of test videos that annotators could not name, and the two rules for predictions in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data.annotations import read_lines
from tsc_jax.data.clock import Clock
from tsc_jax.errors import InputError
from tsc_jax.evaluation.protocols import to_protocol
from tsc_jax.localization.segments import Segments, make_segments


def read_ambiguous(path: Path, videos: Sequence[str]) -> Segments:
    """Reads the lines "VIDEO START END" of Ambiguous_test.txt, in seconds; skips videos that are not in `videos`.

    `video` of the result is an index into `videos`, `label` is 0. Raises InputError for a missing file or invalid line.
    """
    index = {name: i for i, name in enumerate(videos)}
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        try:
            name, start, end = line.split()
            row = index.get(name), float(start), float(end)
        except ValueError:
            raise InputError(f"{path}, line {number}: is {line!r}, expected VIDEO START END") from None
        if not row[1] <= row[2] < np.inf:
            raise InputError(f"{path}, line {number}: {line!r} ends before it starts or is not finite")
        if name in index:
            rows.append(row)
    video, start, end = np.reshape(rows, (-1, 3)).T
    return make_segments(video, 0, start, end)


def shares_snippet(predictions: Segments, ambiguous: Segments, clock: Clock | float) -> np.ndarray:
    """Returns bool [N]: whether a prediction shares a snippet with an ambiguous stretch; both in seconds.

    `clock` may be a rate, in snippets per second.

    FAC-Net, RSKP and MMSD drop these predictions. As published, a stretch is rounded to snippets, half to even, so a
    stretch that rounds to no snippet drops nothing.
    """
    return _largest_overlap(*to_protocol(ambiguous, predictions, clock, "published")) > 0


def is_ambiguous(predictions: Segments, ambiguous: Segments) -> np.ndarray:
    """Returns bool [N]: whether more than half of a prediction lies in one ambiguous stretch; both in seconds.

    Such a prediction is neither right nor wrong and is not scored. A prediction that only touches an ambiguous stretch
    is scored, because it may be the instance beside it.
    """
    return _largest_overlap(ambiguous, predictions) > (predictions.end - predictions.start) / 2


def _largest_overlap(ambiguous: Segments, predictions: Segments) -> np.ndarray:
    """Returns float64 [N]: the longest time that each prediction shares with one stretch, or 0."""
    overlap = np.zeros(len(predictions))
    for video, start, end in zip(ambiguous.video, ambiguous.start, ambiguous.end, strict=True):
        shared = np.minimum(end, predictions.end) - np.maximum(start, predictions.start)
        overlap = np.maximum(overlap, np.where(predictions.video == video, shared, 0))
    return overlap
