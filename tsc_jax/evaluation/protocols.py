"""The choices behind an mAP: in which unit tIoU is taken, at which thresholds, and what the floor is."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments, make_segments

PROTOCOLS = ("seconds", "published")
SNIPPET_DUST = 1e-6  # in snippets; far below any annotation, far above float64's rounding


def to_protocol(segments: Segments, snippets_per_second: float, protocol: str, predicted: bool = False) -> Segments:
    """Segments in the unit in which a protocol compares them.

    "seconds" compares times as they are, as the ActivityNet toolkit does. "published" compares
    snippets, as weakly-supervised methods on THUMOS-14 do: ground truth is rounded (half to even, Python's
    round), which leaves some instances without length; predictions are not rounded.

    Args:
      segments: in seconds.
      snippets_per_second: rate of the snippet features.
      protocol: one of PROTOCOLS.
      predicted: whether these are predictions; otherwise ground truth.
    """
    if protocol == "seconds":
        return segments
    in_snippets = segments.scaled(snippets_per_second)
    places = (_without_dust if predicted else np.rint)(np.stack([in_snippets.start, in_snippets.end]))
    return make_segments(segments.video, segments.label, *places, segments.score)


def _without_dust(snippets: np.ndarray) -> np.ndarray:
    """Whole snippets where going through seconds left a rounding error, which would decide tIoUs on a threshold."""
    whole = np.rint(snippets)
    return np.where(np.abs(snippets - whole) < SNIPPET_DUST, whole, snippets)


def floor_predictions(ground_truth: Segments, durations: np.ndarray) -> Segments:
    """One whole-video segment, score 1, for each true class of each video: what the labels alone are worth.

    Args:
      ground_truth: in seconds.
      durations: float64 [V], in seconds.
    """
    video, label = np.unique(np.stack([ground_truth.video, ground_truth.label]), axis=1)
    return make_segments(video, label, np.zeros(len(video)), durations[video])


def parse_tious(text: str) -> list[float]:
    """tIoU thresholds from START:STOP:STEP, both ends included, or from a list with commas.

    "0.1:0.9:0.1" gives 0.1, 0.2, ... 0.9 as one would type them: no 0.30000000000000004, which
    NumPy's linspace gives and which a tIoU of exactly 3 / 10 does not reach.

    Raises:
      InputError: neither form, or a threshold not above 0 and at most 1.
    """
    try:
        tious = [float(tiou) for tiou in _decimals(text)]
    except InvalidOperation:
        tious = []
    if not tious or not all(0 < tiou <= 1 for tiou in tious):
        raise InputError(
            f"tIoU thresholds {text!r}: expected START:STOP:STEP, as in 0.1:0.9:0.1, or a list, as in 0.3,0.5,"
            " of numbers above 0 and at most 1"
        )
    return tious


def _decimals(text: str) -> Sequence[Decimal]:
    if ":" not in text:
        return [Decimal(part) for part in text.split(",")]
    numbers = [Decimal(part) for part in text.split(":")]
    if len(numbers) != 3 or not all(number.is_finite() for number in numbers):
        return []
    start, stop, step = numbers
    # A step longer than the range is START:STEP:STOP, which papers write, misread.
    if not 0 < step <= max(stop - start, Decimal(0)):
        return []
    return [start + i * step for i in range(int((stop - start) / step) + 1)]
