"""Time stamps of a video's frames -> how many frames at 25 per second show each of them."""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from tsc_jax.errors import InputError

if TYPE_CHECKING:
    import av

FRAMES_PER_SECOND = 25
Stretches = list[tuple[Fraction, Fraction]]  # (start, end) in seconds, by the time stamps of the file
_LONGEST_STILL = 3600  # seconds that one frame may last; beyond that, time stamps are damaged
_REORDERED = 16  # frames by which codecs change the order, at most
_DELAY = Fraction(1, 10)  # seconds; a shorter time before the first frame comes from the codecs
_HOLE = Fraction(2, 5)  # seconds


def repetitions(
    frames: Iterable["av.VideoFrame"],
    gap: Fraction,
    path: Path,
    origin: Fraction | None = None,
    damage: Stretches | None = None,
) -> Iterator[tuple["av.VideoFrame", int]]:
    """Yields each frame and how many frames at 25 per second show it.

    `frames` are in the order in which they are shown. A frame without a time stamp, and the end of the last frame,
    continue at the last distance between two frames, which is `gap` seconds until the time stamps tell. If the file
    begins before its first frame, at the time stamp `origin`, this frame is shown from there. Stretches of the file
    that lack frames which all the rest has are added to `damage`.

    Raises InputError if a time stamp is more than an hour after the previous one, or a second or more before it; after
    damage, such frames are left out.
    """
    damage = [] if damage is None else damage
    shown, first, time, begun, number, longest = None, None, None, 0, 0, gap
    for number, (frame, stamp) in enumerate(_in_order(frames, gap, path, damage)):
        if shown is None:
            start = stamp or Fraction(0)
            first = origin if origin is not None and _DELAY <= start - origin <= _LONGEST_STILL else start
        else:
            start = time + gap if stamp is None else stamp
            distance = max(start - time, Fraction(0))
            if number > 10 and distance > max(_HOLE, 4 * longest):
                damage.append((time + gap, start))
            else:
                longest, gap = max(longest, distance), distance or gap
            end = max(nearest_frame(start - first), begun)
            yield shown, end - begun
            begun = end
        shown, time = frame, start
    if shown is not None:
        last = max(gap, min((shown.duration or 0) * (shown.time_base or 0), _LONGEST_STILL))
        yield shown, max(nearest_frame(time + last - first) - begun, 0)


def _in_order(
    frames: Iterable["av.VideoFrame"], gap: Fraction, path: Path, damage: Stretches
) -> Iterator[tuple["av.VideoFrame", Fraction | None]]:
    """Yields each frame and its time stamp in seconds, None if it has none; time stamps never fall.

    Frames of AVI come in the right order, but with the time stamps of the order in which they are stored, because AVI
    has no others. Therefore the k-th frame gets the k-th time stamp.
    """
    waiting, stamps, latest = deque(), [], None
    back = max(1, _REORDERED * gap)
    for frame in frames:
        if frame.pts is not None:
            stamp = frame.pts * frame.time_base
            if latest is not None and not -back < stamp - latest <= _LONGEST_STILL:
                if damage:
                    continue
                raise InputError(f"{path}: its time stamps jump from {float(latest):.0f} to {float(stamp):.0f} seconds")
            latest = stamp
            heapq.heappush(stamps, stamp)
        waiting.append(frame)
        if len(waiting) > _REORDERED:
            yield _next(waiting, stamps)
    while waiting:
        yield _next(waiting, stamps)


def _next(waiting: deque["av.VideoFrame"], stamps: list[Fraction]) -> tuple["av.VideoFrame", Fraction | None]:
    frame = waiting.popleft()
    return frame, None if frame.pts is None else heapq.heappop(stamps)


def nearest_frame(time: Fraction) -> int:
    """Seconds -> the nearest frame at 25 per second."""
    return math.floor(time * FRAMES_PER_SECOND + Fraction(1, 2))


def joined(stretches: Sequence[tuple[Fraction, Fraction]], origin: Fraction) -> list[tuple[float, float]]:
    """Stretches -> their union as seconds since `origin`; those less than a second apart become one."""
    union = []
    for start, end in sorted((float(start - origin), float(end - origin)) for start, end in stretches):
        if union and start < union[-1][1] + 1:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union
