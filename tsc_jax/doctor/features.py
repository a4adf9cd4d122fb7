"""Reads the features one video at a time, and checks what was measured of them."""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tqdm

from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.doctor.findings import Finding, found
from tsc_jax.errors import Refuse, attempt

HEADS = 4  # config.model.tce_heads of all recipes
SLACK_SNIPPETS, SLACK_SHARE = 2, 0.05  # by which T may differ from duration times rate


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is kept of a video's features.

    Attributes:
      num_snippets: T.
      width: D.
      zero_snippets: how many snippets are all zero.
      digest: of everything in them.
    """

    num_snippets: int
    width: int
    zero_snippets: int
    digest: str


Measures = Mapping[str, Sequence[Measured | None]]


def measure(source: Source, refuse: Refuse) -> Measures:
    """Reads the features of every video; None for one without, or with features that are none."""
    number = sum(len(source.splits[split]) for split in SPLITS)
    with tqdm.tqdm(total=number, desc="reading", unit="video", disable=None) as progress:

        def each(video: SourceVideo) -> Measured | None:
            progress.update()
            return attempt(refuse, _measure, video) if video.origin else None

        return {split: tuple(map(each, source.splits[split])) for split in SPLITS}


def _measure(video: SourceVideo) -> Measured:
    features = video.read_features()
    digest = hashlib.sha256(repr(features.shape).encode())
    digest.update(features.tobytes())
    return Measured(*features.shape, int((features == 0).all(axis=1).sum()), digest.hexdigest())


def unmeasured(source: Source) -> Measures:
    """In place of `measure` where there are no features."""
    return {split: (None,) * len(source.splits[split]) for split in SPLITS}


def check_features(source: Source, measures: Measures) -> Iterator[Finding]:
    """Width, zeros, and features that stand twice."""
    pairs = {split: _with_features(source, measures, split) for split in SPLITS}
    everything = [pair for split in SPLITS for pair in pairs[split]]
    yield from _check_width(everything)
    yield from found(
        "zero_snippets",
        [
            f"{video.name}: {each.zero_snippets} of {each.num_snippets} snippets"
            for video, each in everything
            if each.zero_snippets
        ],
    )
    yield from _check_copies(pairs)


def _with_features(source: Source, measures: Measures, split: str) -> list[tuple[SourceVideo, Measured]]:
    pairs = zip(source.splits[split], measures[split], strict=True)
    return [(video, each) for video, each in pairs if each is not None]


def _check_width(pairs: Sequence[tuple[SourceVideo, Measured]]) -> Iterator[Finding]:
    widths = Counter(each.width for _, each in pairs)
    if not widths:
        return
    usual = widths.most_common(1)[0][0]
    others = [f"{video.name}: width {each.width}, most have {usual}" for video, each in pairs if each.width != usual]
    yield from found("width", others)
    yield from found("heads", [f"width {usual}"] if usual % HEADS else [])


def _check_copies(pairs: Mapping[str, Sequence[tuple[SourceVideo, Measured]]]) -> Iterator[Finding]:
    holders = {split: defaultdict(dict) for split in SPLITS}  # digest -> names, in order and each once
    for split in SPLITS:
        for video, each in pairs[split]:
            holders[split][each.digest][video.name] = None
    train, test = (holders[split] for split in SPLITS)
    across = [
        f"{name}: the same as {next(iter(train[digest]))}"
        for digest, names in test.items()
        for name in names
        if digest in train and name not in train[digest]
    ]
    yield from found("same_features_in_test", across)
    groups = [names for split in SPLITS for names in holders[split].values() if len(names) > 1]
    yield from found("same_features", [", ".join(names) for names in groups])


def check_lengths(source: Source, measures: Measures) -> Iterator[Finding]:
    """T is duration times rate; where it hardly ever is, but would be at another rate, says at which."""
    rate = source.snippets_per_second
    known = [
        (video.name, each.num_snippets, video.duration)
        for split in SPLITS
        for video, each in _with_features(source, measures, split)
        if video.duration is not None
    ]
    if not known or not rate:
        return
    wrong = [(name, *rest) for name, *rest in known if not _fits(*rest, rate)]
    fitting = float(np.median([number / duration for _, number, duration in known]))
    fitted = sum(_fits(number, duration, fitting) for _, number, duration in known)
    if len(wrong) > len(known) / 2 and fitted >= 0.9 * len(known):
        sentence = f"{rate:g} snippets a second fit {len(known) - len(wrong)} of {len(known)} videos"
        yield from found("rate", [f"{sentence}, about {fitting:.4g} would fit {fitted}"])
        return
    examples = [
        f"{name}: {number} snippets, {duration:.1f} s at {rate:g} a second make {duration * rate:.0f}"
        for name, number, duration in wrong
    ]
    yield from found("length", examples)


def _fits(num_snippets: int, duration: float, rate: float) -> bool:
    expected = duration * rate
    return abs(num_snippets - expected) <= max(SLACK_SNIPPETS, SLACK_SHARE * expected)
