"""Reads the features video by video, and checks what was measured."""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tqdm

from tsc_jax.data.checks import rate_fits
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.findings import Example
from tsc_jax.errors import Refuse, attempt

HEADS = 4  # config.model.tce_heads of all recipes


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the doctor remembers about the features of a video.

    Attributes:
      num_snippets: T.
      width: D.
      zero_snippets: number of snippets that are all zero.
      digest: sha256 of the features.
    """

    num_snippets: int
    width: int
    zero_snippets: int
    digest: str


# The videos of each split; None for a video without valid features.
Measures = Mapping[str, Sequence[tuple[SourceVideo, Measured | None]]]


def measure(source: Source, refuse: Refuse) -> Measures:
    """Reads the features of every video; `refuse` receives errors and may return."""
    number = sum(video.read_features is not None for split in SPLITS for video in source.splits[split])
    # Without features there is nothing to wait for; None shows the bar on a terminal only.
    with tqdm.tqdm(total=number, desc="reading", unit="video", disable=None if number else True) as progress:

        def measured(video: SourceVideo) -> Measured | None:
            if video.read_features is None:
                return None
            progress.update()
            return attempt(refuse, _measure, video)

        return {split: [(video, measured(video)) for video in source.splits[split]] for split in SPLITS}


def _measure(video: SourceVideo) -> Measured:
    features = video.read_features()
    digest = hashlib.sha256(repr(features.shape).encode())
    digest.update(features.tobytes())
    return Measured(*features.shape, int((features == 0).all(axis=1).sum()), digest.hexdigest())


def check_features(measures: Measures) -> Iterator[Example]:
    """Finds different widths, snippets of zeros, and copies."""
    pairs = [pair for split in SPLITS for pair in _measured(measures[split])]
    widths = Counter(features.width for _, features in pairs)
    usual = widths.most_common(1)[0][0] if widths else 0
    for video, features in pairs:
        if features.width != usual:
            yield "width", f"{video.name}: width {features.width}, most have {usual}"
        if features.zero_snippets:
            yield "zero_snippets", f"{video.name}: {features.zero_snippets} of {features.num_snippets} snippets"
    if usual % HEADS:
        yield "heads", f"width {usual}"
    yield from _check_copies(measures)


def _measured(pairs: Sequence[tuple[SourceVideo, Measured | None]]) -> list[tuple[SourceVideo, Measured]]:
    return [(video, features) for video, features in pairs if features is not None]


def _check_copies(measures: Measures) -> Iterator[Example]:
    names = {split: defaultdict(dict) for split in SPLITS}  # digest -> names in order, each once
    for split in SPLITS:
        for video, features in _measured(measures[split]):
            names[split][features.digest][video.name] = None
    train, test = (names[split] for split in SPLITS)
    for digest, copies in test.items():
        for name in copies:
            if digest in train and name not in train[digest]:
                yield "same_features_in_test", f"{name}: the same as {next(iter(train[digest]))}"
    for copies in (*train.values(), *test.values()):
        if len(copies) > 1:
            yield "same_features", ", ".join(copies)


def check_lengths(measures: Measures, rate: float | None) -> Iterator[Example]:
    """Finds videos with T other than duration times rate, or the rate if most differ and another rate fits 90%."""
    known = [
        (video.name, features.num_snippets, video.duration)
        for split in SPLITS
        for video, features in _measured(measures[split])
        if video.duration is not None
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
