"""Segments of many videos as columns: proposals, predictions and ground truth."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from tsc_jax.data.clock import Clock


@dataclasses.dataclass(frozen=True)
class Segments:
    """N segments of one or many videos; the function that returns them documents whether in seconds or in snippets."""

    video: np.ndarray  # int64 [N], index into a list of videos
    label: np.ndarray  # int64 [N], action class
    start: np.ndarray  # float64 [N]
    end: np.ndarray  # float64 [N]
    score: np.ndarray  # float64 [N]; ones for ground truth

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, rows: np.ndarray | slice) -> "Segments":
        """The segments at `rows` (a slice, a boolean mask or indices)."""
        return Segments(*(column[rows] for column in vars(self).values()))

    def of_video(self, video: int) -> "Segments":
        """The segments of one video, best first; equal scores keep their order."""
        segments = self[self.video == video]
        return segments[np.argsort(-segments.score, kind="stable")]

    def rows(self) -> Iterator[tuple[int, float, float, float]]:
        """Iterates over (label, start, end, score) as numbers of Python."""
        return zip(*(column.tolist() for column in (self.label, self.start, self.end, self.score)), strict=True)

    def scaled(self, factor: float | np.ndarray) -> "Segments":
        """The same segments with start and end multiplied by `factor` (a change of unit), or each by its own [N]."""
        return dataclasses.replace(self, start=self.start * factor, end=self.end * factor)

    def in_seconds(self, clock: Clock) -> "Segments":
        """The same segments, given in snippets, in seconds."""
        own = clock.of(self.video)
        return dataclasses.replace(self, start=own.seconds(self.start), end=own.seconds(self.end))

    def in_snippets(self, clock: Clock) -> "Segments":
        """The same segments, given in seconds, in snippets."""
        own = clock.of(self.video)
        return dataclasses.replace(self, start=own.snippets(self.start), end=own.snippets(self.end))


def make_segments(video, label, start, end, score=None) -> Segments:
    """Segments from sequences or arrays of equal length N; `video` and `label` may be single numbers."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    score = np.ones_like(start) if score is None else np.asarray(score, np.float64)
    video, label = (np.broadcast_to(np.asarray(index, np.int64), start.shape) for index in (video, label))
    return Segments(video, label, start, end, score)


def concatenate(parts: Iterable[Segments]) -> Segments:
    """All segments of `parts`, in their order; without parts, no segments."""
    columns = (vars(part).values() for part in (make_segments([], [], [], []), *parts))
    return Segments(*map(np.concatenate, zip(*columns, strict=True)))
