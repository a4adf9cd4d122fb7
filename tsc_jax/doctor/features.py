"""Reads the features video by video, and checks what was measured."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tqdm

from tsc_jax.data.checks import rate_fits
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.findings import Example
from tsc_jax.errors import Refuse, attempt

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

    def seconds(self, rate: float | None) -> float | None:
        """Returns the length of the video; None if unknown."""
        if self.video.duration is not None or self.features is None or not rate:
            return self.video.duration
        return self.features.num_snippets / rate


def measure(source: Source, refuse: Refuse) -> list[Row]:
    """Reads the features of every video; `refuse` receives errors and may return."""
    videos = [(split, video) for split in SPLITS for video in source.splits[split]]
    # Without features there is nothing to wait for; None shows the bar on a terminal only.
    silent = None if any(video.read_features for _, video in videos) else True
    progress = tqdm.tqdm(videos, "reading", unit="video", disable=silent)
    return [Row(split, video, video.read_features and attempt(refuse, _measure, video)) for split, video in progress]


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
    for split, video, features in rows:
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


def check_lengths(rows: list[Row], rate: float | None) -> Iterator[Example]:
    """Finds videos with T other than duration times rate, or the rate if most differ and another rate fits 90%."""
    known = [
        (video.name, features.num_snippets, video.duration)
        for _, video, features in rows
        if features is not None and video.duration is not None
    ]
    if not known or not rate:
        return
    wrong = [each for each in known if not rate_fits(*each[1:], rate)]
    fitting = float(np.median([number / duration for _, number, duration in known]))
    fitted = sum(rate_fits(number, duration, fitting) for _, number, duration in known)
    if len(wrong) > len(known) / 2 and fitted >= 0.9 * len(known):
        sentence = f"{rate:g} snippets per second fit {len(known) - len(wrong)} of {len(known)} videos"
        yield "rate", f"{sentence}, about {fitting:.4g} would fit {fitted}"
        return
    for name, number, duration in wrong:
        expected = f"{duration:.1f} s at {rate:g} per second make {duration * rate:.0f}"
        yield "length", f"{name}: {number} snippets, {expected}"
