"""Reads the features video by video, and checks what was measured."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import tqdm

from tsc_jax.data.builder import rate_of
from tsc_jax.data.source import DURATION, SPLITS, Source, SourceVideo
from tsc_jax.doctor.findings import Example
from tsc_jax.errors import Refuse, attempt
from tsc_jax.settings import is_number

HEADS = 4  # config.model.tce_heads of all recipes of TSC-Net


class Measured(NamedTuple):
    """What the doctor remembers about the features of a video."""

    num_snippets: int  # T
    width: int  # D
    zero_snippets: int  # snippets that are all zero
    digest: str  # sha256 of the features


class Row(NamedTuple):
    """A video of a subset, and its features; None if it has no valid ones."""

    split: str
    video: SourceVideo
    features: Measured | None
    rate: float | None  # snippets per second; None if unknown

    @property
    def seconds(self) -> float | None:
        """Returns the length of the video; None if unknown."""
        if self.video.duration is not None or self.features is None or not self.rate:
            return self.video.duration
        return self.video.offset + self.features.num_snippets / self.rate


def measure(source: Source, refuse: Refuse) -> list[Row]:
    """Reads the features of every video; `refuse` receives errors and may return."""
    videos = [(split, video) for split in SPLITS for video in source.splits[split]]
    # Without features there is nothing to wait for; None shows the bar on a terminal only.
    silent = None if any(video.read_features for _, video in videos) else True
    progress = tqdm.tqdm(videos, "reading", unit="video", disable=silent)
    return [_row(split, video, source.snippets_per_second, refuse) for split, video in progress]


def _row(split: str, video: SourceVideo, shared: float | str | None, refuse: Refuse) -> Row:
    features = video.read_features and attempt(refuse, _measure, video)
    known = video.snippets_per_second is not None or is_number(shared)
    known = known or (shared == DURATION and features is not None and video.duration is not None)
    return Row(
        split, video, features, rate_of(video, features.num_snippets if features else 0, shared) if known else None
    )


def _measure(video: SourceVideo) -> Measured:
    features = video.read_features()
    digest = hashlib.sha256(repr(features.shape).encode())
    digest.update(features.tobytes())
    return Measured(*features.shape, int((features == 0).all(axis=1).sum()), digest.hexdigest())


def check_features(rows: list[Row]) -> Iterator[Example]:
    """Finds different widths, snippets of zeros, and copies."""
    rows = [row for row in rows if row.features]
    widths = Counter(row.features.width for row in rows)
    usual = widths.most_common(1)[0][0] if widths else 0
    copies = defaultdict(lambda: {split: {} for split in SPLITS})  # by digest: names in order, each once
    for split, video, features, _ in rows:
        copies[features.digest][split][video.name] = None
        if features.width != usual:
            yield "width", f"{video.name}: width {features.width}, most have {usual}"
        if features.zero_snippets:
            yield "zero_snippets", f"{video.name}: {features.zero_snippets} of {features.num_snippets} snippets"
    if usual % HEADS:
        yield "heads", f"width {usual}"
    for names in copies.values():
        for name in names["test"]:
            if names["train"] and name not in names["train"]:
                yield "same_features_in_test", f"{name}: the same as {next(iter(names['train']))}"
        yield from (("same_features", ", ".join(names[split])) for split in SPLITS if len(names[split]) > 1)
