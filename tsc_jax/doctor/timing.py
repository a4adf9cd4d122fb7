"""Checks rates against the lengths of videos, and the unit of segments."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tsc_jax.data.checks import mostly_past_end, rate_fits
from tsc_jax.data.source import SPLITS
from tsc_jax.doctor.features import Row
from tsc_jax.doctor.findings import Example

MANY = 0.25  # share of videos that do not fit at which the rate is wrong, not the videos
NEARLY_ALL = 0.9  # share of videos for which a rate or a length holds


def check_lengths(rows: Sequence[Row]) -> Iterator[Example]:
    """Finds videos whose T differs from duration times rate; if they are many, what would fit instead."""
    known = [row for row in rows if row.features is not None and row.rate and row.video.duration is not None]
    wrong = [row for row in known if not _fits(row, row.rate)]
    if len(wrong) > MANY * len(known):
        yield _other_timing(known, len(known) - len(wrong))
        return
    for row in wrong:
        expected = f"{row.video.duration:.1f} s at {row.rate:g} per second make {row.video.duration * row.rate:.0f}"
        yield "length", f"{row.video.name}: {row.features.num_snippets} snippets, {expected}"


def check_units(rows: Sequence[Row]) -> Iterator[Example]:
    """Finds subsets in which most segments end after their video, as they do if times are in frames."""
    for split in SPLITS:
        of_split = [row for row in rows if row.split == split and row.seconds is not None]
        segments = [(end, row.seconds) for row in of_split for _, end in row.video.segments]
        if mostly_past_end(segments):
            times = np.median([end / length for end, length in segments])
            late = sum(end > length for end, length in segments)
            yield "units", f"{split}: {late} of {len(segments)} segments, the median at {times:.1f} times the duration"


def _fits(row: Row, rate: float) -> bool:
    return rate_fits(row.features.num_snippets, row.video.duration, rate, row.video.offset)


def _other_timing(rows: Sequence[Row], fitting: int) -> Example:
    """Returns the finding about rates that do not fit many videos."""
    lengths, durations = ([each(row) for row in rows] for each in (_length, lambda row: row.video.duration))
    given = {row.rate for row in rows}
    sentence = f"{_named(given)} snippets per second fit {fitting} of {len(rows)} videos"
    common, number = Counter(lengths).most_common(1)[0]
    if number >= NEARLY_ALL * len(rows) and min(durations) < 0.8 * max(durations):
        seconds = f"videos of {min(durations):.1f} to {max(durations):.1f} s"
        return "fixed_length", f"{sentence}, and {number} have {common} snippets, though they are {seconds}"
    rate = float(np.median([length / duration for length, duration in zip(lengths, durations, strict=True)]))
    fitted = sum(_fits(row, rate) for row in rows)
    if fitted >= NEARLY_ALL * len(rows):
        return "rate", f"{sentence}, about {rate:.4g} would fit {fitted}"
    framed = [row for row in rows if row.video.fps]
    strides = [row.video.fps * row.video.duration / _length(row) for row in framed]
    stride = round(float(np.median(strides))) if strides else 0
    fitted = sum(_fits(row, row.video.fps / stride) for row in framed) if stride else 0
    if fitted >= NEARLY_ALL * len(rows):
        return "own_rates", f"{sentence}, --feat_stride={stride} and the fps in the annotations would fit {fitted}"
    return "own_rates", f"{sentence}, and no single rate would fit most of them"


def _length(row: Row) -> int:
    return row.features.num_snippets


def _named(rates: set[float]) -> str:
    return f"{min(rates):g}" if len(rates) == 1 else f"{min(rates):g} to {max(rates):g}"
