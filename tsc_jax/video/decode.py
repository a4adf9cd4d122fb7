"""Decodes video files into upright RGB frames at 25 per second, as I3D was trained on, and thumbnails for reports."""

import contextlib
import io
import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tsc_jax.errors import InputError

if TYPE_CHECKING:
    import av

FRAMES_PER_SECOND = 25
SHORTER_SIDE = 256
CROP = 224
_TEXT = {"ansi", "bintext", "idf", "xbin"}  # FFmpeg decodes any .txt with these, by drawing its letters
_LONGEST_STILL = 3600  # seconds that one frame may last; beyond that, time stamps are damaged


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """Yields the frames of a video at 25 per second, each uint8 RGB [224, 224, 3].

    Each frame is shown from the 25th of a second nearest to its time stamp, counted from the first frame, until the
    next frame is shown; frames of faster, slower or variable rates are therefore skipped or repeated. Frames are turned
    upright by the file's metadata, scaled (bilinear) to a shorter side of 256 pixels, and cropped to the centre.
    Raises InputError if there is no video, or something in it that cannot be decoded.
    """
    with _open(path) as (container, stream):
        gap = 1 / (stream.average_rate or Fraction(FRAMES_PER_SECOND))
        for frame, times in repetitions(container.decode(stream), gap, path):
            if times > 0:
                picture = _upright(frame)
                top, left = ((side - CROP) // 2 for side in picture.shape[:2])
                yield from itertools.repeat(np.ascontiguousarray(picture[top:, left:][:CROP, :CROP]), times)


def seconds(path: Path) -> float | None:
    """Returns the duration of a video, None if its header does not give it; raises InputError if there is no video."""
    with _open(path) as (container, stream):
        return _length(container, stream)


def thumbnails(path: Path, number: int, height: int = 90) -> list[tuple[float, bytes]]:
    """Returns small pictures of a video, one from the middle of each of `number` equal parts.

    Each is (requested time in seconds, JPEG file of `height` pixels). There are fewer if the decoder cannot seek to a
    time, and none if the duration is unknown. Raises InputError like `read_frames`.
    """
    with _open(path) as (container, stream):
        length = _length(container, stream)
        times = [] if length is None else [(index + 0.5) * length / number for index in range(number)]
        frames = ((time, _frame_at(container, stream, time)) for time in times)
        return [(time, _jpeg(frame, height)) for time, frame in frames if frame is not None]


def load_decoder() -> ModuleType:
    """Imports PyAV; raises InputError if it is not installed."""
    try:
        import av
    except ImportError:
        raise InputError(
            "decoding video needs the package av, which is not installed: pip install -r requirements-video.txt"
        ) from None
    return av


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple["av.container.InputContainer", "av.VideoStream"]]:
    """Opens a file and its video stream; turns errors of the decoder inside the block into InputError."""
    av = load_decoder()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected a video file")
    # PyAV 18 fails on metadata that are not UTF-8 unless told otherwise; PyAV 19 never does.
    lenient = {"metadata_errors": "ignore"} if av.__version__.startswith("18.") else {}
    try:
        # An absolute path, because FFmpeg takes the part before a colon for a protocol.
        with av.open(str(path.absolute()), **lenient) as container:
            cover = av.stream.Disposition.attached_pic
            streams = [each for each in container.streams.video if each.codec_context and not each.disposition & cover]
            if not streams:
                others = sorted({stream.type for stream in container.streams} - {"video"})
                raise InputError(f"{path}: has {' and '.join(others) or 'no stream'}, expected a video")
            if streams[0].codec_context.name in _TEXT:
                raise InputError(f"{path}: has text, expected a video")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be decoded ({error.strerror})") from None


def _length(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def repetitions(frames: Iterable["av.VideoFrame"], gap: Fraction, path: Path) -> Iterator[tuple["av.VideoFrame", int]]:
    """Yields each frame and how many frames at 25 per second show it.

    A frame without a time stamp, and the end of the last frame, continue at the last distance between two frames, which
    is `gap` seconds until the time stamps tell. `frames` are in the order in which they are shown.
    Raises InputError if a time stamp is more than an hour after the previous one, or a second or more before it.
    """
    shown, first, time, begun = None, None, None, 0
    for frame in frames:
        guess = Fraction(0) if shown is None else time + gap
        start = guess if frame.pts is None else frame.pts * frame.time_base
        if shown is None:
            first = start
        else:
            if not -1 < start - time <= _LONGEST_STILL:
                raise InputError(f"{path}: its time stamps jump from {float(time):.0f} to {float(start):.0f} seconds")
            end = max(_nearest_frame(start - first), begun)
            yield shown, end - begun
            begun, gap = end, max(start - time, Fraction(0)) or gap
        shown, time = frame, start
    if shown is not None:
        yield shown, max(_nearest_frame(time + gap - first) - begun, 0)


def _nearest_frame(time: Fraction) -> int:
    """Seconds -> the nearest frame at 25 per second."""
    return math.floor(time * FRAMES_PER_SECOND + Fraction(1, 2))


def _upright(frame: "av.VideoFrame") -> np.ndarray:
    """Returns uint8 RGB [H, W, 3], turned upright, with a shorter side of SHORTER_SIDE pixels."""
    scale = SHORTER_SIDE / min(frame.width, frame.height)
    width, height = (max(round(side * scale), SHORTER_SIDE) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "rgb24", interpolation="BILINEAR").to_ndarray()
    return np.rot90(small, round(frame.rotation / 90))


def _frame_at(
    container: "av.container.InputContainer", stream: "av.VideoStream", time: float
) -> "av.VideoFrame | None":
    """Returns the frame shown at a time in seconds since the start, None if there is none."""
    target = (stream.start_time or 0) + round(time / stream.time_base)
    container.seek(target, stream=stream)
    shown = None
    for frame in container.decode(stream):
        if frame.pts is None or (shown is not None and frame.pts > target):
            break
        shown = frame
    return shown


def _jpeg(frame: "av.VideoFrame", height: int) -> bytes:
    from PIL import Image

    picture = Image.fromarray(_upright(frame))
    picture = picture.resize((max(round(picture.width * height / picture.height), 1), height))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()
