"""Video files -> upright RGB frames at 25 a second, as I3D was trained on, and thumbnails for reports."""

import contextlib
import io
import math
from collections.abc import Iterator
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
_TEXT = {"ansi", "bintext", "idf", "xbin"}  # FFmpeg would paint any .txt, letter by letter
_LONGEST_STILL = 3600  # seconds that one frame may last; what claims more, or goes back, has damaged time stamps


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video at 25 a second, [224, 224, 3] uint8 RGB each, one after the other.

    Time stamps decide: each frame goes to the place that is nearest to its time since the first frame, and stays
    until the next, so that frames are left out or repeated where the rate is another or varies. Rotation in the
    file's metadata is undone. The shorter side becomes 256 pixels (bilinear), of which the centre is cut out.

    Raises:
      InputError: not a file, no video in it, or something in it that cannot be decoded.
    """
    with _open(path) as (container, stream):
        for frame, times in _at_rate(container.decode(stream), stream, path):
            if times > 0:
                picture = _centre(_upright(frame, SHORTER_SIDE), CROP)
                for _ in range(times):
                    yield picture


def seconds(path: Path) -> float | None:
    """How long a video is, as far as its header says.

    Raises:
      InputError: not a file, or no video in it.
    """
    with _open(path) as (container, stream):
        return _length(container, stream)


def thumbnails(path: Path, number: int, height: int = 90) -> list[tuple[float, bytes]]:
    """Small pictures of a video, evenly spread, each from the middle of its share of the time.

    Args:
      path: of the video.
      number: of the pictures, at most; a time that cannot be sought has none.
      height: of the pictures, in pixels.

    Returns:
      For each the time in seconds that it was asked for, and a JPEG file.

    Raises:
      InputError: as `read_frames`.
    """
    pictures = []
    with _open(path) as (container, stream):
        length = _length(container, stream)
        if length is None:
            return []
        for index in range(number):
            time = (index + 0.5) * length / number
            frame = _frame_at(container, stream, time)
            if frame is not None:
                pictures.append((time, _jpeg(frame, height)))
    return pictures


def load_decoder() -> ModuleType:
    """PyAV.

    Raises:
      InputError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise InputError(
            "video is decoded by the package av, which is missing: pip install -r requirements-video.txt"
        ) from None
    return av


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple["av.container.InputContainer", "av.VideoStream"]]:
    """The opened file and its video; whatever the decoder says within the block becomes one sentence."""
    av = load_decoder()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected a video file")
    # Version 18 takes a tag that is not UTF-8 for an error unless it is told otherwise; 19 does not ask.
    lenient = {"metadata_errors": "ignore"} if av.__version__.startswith("18.") else {}
    try:
        # An absolute path, because FFmpeg takes what stands before a colon for a protocol.
        with av.open(str(path.absolute()), **lenient) as container:
            streams = [
                stream
                for stream in container.streams.video
                if stream.codec_context and not stream.disposition & av.stream.Disposition.attached_pic
            ]
            if not streams:
                raise InputError(f"{path}: holds {_kinds(container)}, expected a video that can be decoded")
            if streams[0].codec_context.name in _TEXT:
                raise InputError(f"{path}: holds text, expected a video that can be decoded")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be decoded ({error.strerror})") from None


def _kinds(container: "av.container.InputContainer") -> str:
    return " and ".join(sorted({stream.type for stream in container.streams} - {"video"})) or "no stream"


def _length(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _at_rate(
    frames: Iterator["av.VideoFrame"], stream: "av.VideoStream", path: Path
) -> Iterator[tuple["av.VideoFrame", int]]:
    """Each frame, and how many of the frames at 25 a second it is."""
    gap = 1 / (stream.average_rate or Fraction(FRAMES_PER_SECOND))
    shown, first, time, begun = None, None, None, 0
    for frame in frames:
        guess = Fraction(0) if time is None else time + gap
        here = guess if frame.pts is None else frame.pts * frame.time_base
        if shown is None:
            first = here
        else:
            if not -1 < here - time <= _LONGEST_STILL:
                raise InputError(f"{path}: its time stamps jump from {float(time):.0f} to {float(here):.0f} seconds")
            end = max(_place(here - first), begun)
            yield shown, end - begun
            begun, gap = end, max(here - time, Fraction(0)) or gap
        shown, time = frame, here
    if shown is not None:
        yield shown, max(_place(time + gap - first) - begun, 0)


def _place(time: Fraction) -> int:
    """The frame at 25 a second that is nearest to a time in seconds."""
    return math.floor(time * FRAMES_PER_SECOND + Fraction(1, 2))


def _upright(frame: "av.VideoFrame", shorter: int) -> np.ndarray:
    """RGB [H, W, 3] uint8, turned as the file says, its shorter side of so many pixels."""
    scale = shorter / min(frame.width, frame.height)
    width, height = (max(round(side * scale), shorter) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "rgb24", interpolation="BILINEAR").to_ndarray()
    return np.rot90(small, round(frame.rotation / 90))


def _centre(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def _frame_at(
    container: "av.container.InputContainer", stream: "av.VideoStream", time: float
) -> "av.VideoFrame | None":
    """The frame that is shown at a time in seconds since the start, None past the end."""
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

    picture = Image.fromarray(_upright(frame, SHORTER_SIDE))
    picture = picture.resize((max(round(picture.width * height / picture.height), 1), height))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()
