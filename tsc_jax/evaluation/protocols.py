"""The choices behind an mAP: the unit in which tIoU is computed, the thresholds, and the floor."""

import dataclasses
from decimal import Decimal

import numpy as np

from tsc_jax.data.clock import Clock
from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments, make_segments

PROTOCOLS = ("seconds", "published")
FLOOR = "floor: true labels, whole videos"
ROUNDING_ERROR = 1e-6  # in snippets; far finer than any annotation, far coarser than float64


def to_protocol(
    ground_truth: Segments, predictions: Segments, clock: Clock | float, protocol: str
) -> tuple[Segments, Segments]:
    """Converts ground truth and predictions from seconds to the unit in which a protocol compares them.

    `clock` may be a rate, in snippets per second.

    "seconds" compares times as they are, like the ActivityNet toolkit. "published" compares snippets, like
    weakly-supervised methods on THUMOS-14: it rounds ground truth half to even, which leaves some instances without
    length, and does not round predictions.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"the protocol is {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    if protocol == "seconds":
        return ground_truth, predictions
    clock = clock if isinstance(clock, Clock) else Clock(clock)
    ground_truth, predictions = ground_truth.in_snippets(clock), predictions.in_snippets(clock)
    exact = np.stack([predictions.start, predictions.end])
    whole = np.rint(exact)
    # A prediction of whole snippets that went through seconds has a rounding error, which could decide a tIoU.
    start, end = np.where(np.abs(exact - whole) < ROUNDING_ERROR, whole, exact)
    return (
        dataclasses.replace(ground_truth, start=np.rint(ground_truth.start), end=np.rint(ground_truth.end)),
        dataclasses.replace(predictions, start=start, end=end),
    )


def floor_predictions(ground_truth: Segments, durations: np.ndarray) -> Segments:
    """Returns one whole-video segment of score 1 per true class of each video: what the labels alone achieve.

    `ground_truth` and `durations` [V] are in seconds.
    """
    video, label = np.unique(np.stack([ground_truth.video, ground_truth.label]), axis=1)
    return make_segments(video, label, np.zeros(len(video)), durations[video])


def parse_tious(text: str) -> list[float]:
    """Parses tIoU thresholds from START:STOP:STEP, both ends included, or from a list with commas.

    "0.1:0.9:0.1" gives the floats 0.1, 0.2, ... 0.9, not NumPy's 0.30000000000000004, which a tIoU of exactly 3 / 10
    does not reach. Raises InputError for other forms and thresholds outside (0, 1].
    """
    try:
        if ":" in text:
            start, stop, step = map(Decimal, text.split(":"))
            # A step longer than the range is probably START:STEP:STOP, the order that papers use.
            number = int((stop - start) / step) + 1 if 0 < step <= stop - start else 0
            tious = [float(start + i * step) for i in range(number)]
        else:
            tious = [float(Decimal(part)) for part in text.split(",")]
    except (ArithmeticError, ValueError):
        tious = []
    if not tious or not all(0 < tiou <= 1 for tiou in tious):
        raise InputError(
            f"the tIoU thresholds are {text!r}, expected START:STOP:STEP (0.1:0.9:0.1) or a list (0.3,0.5) of numbers"
            " above 0 and at most 1"
        )
    return tious
