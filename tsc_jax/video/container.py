"""Opens video files: which stream is shown, when it begins and ends, and its frames, as far as they can be decoded."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tsc_jax.errors import InputError
from tsc_jax.video.times import FRAMES_PER_SECOND, Stretches

if TYPE_CHECKING:
    import av

_TEXT = {"ansi", "bintext", "idf", "xbin"}  # FFmpeg decodes any .txt with these, by drawing its letters
_ATTEMPTS = 100  # to read on after damage


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
def open_video(path: Path) -> Iterator[tuple["av.container.InputContainer", "av.VideoStream"]]:
    """Opens a file and the video stream that players show; turns errors of the decoder in the block into InputError."""
    av = load_decoder()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}, expected a video file")
    # PyAV 18 fails on metadata that are not UTF-8 unless told otherwise; PyAV 19 never does.
    lenient = {"metadata_errors": "ignore"} if av.__version__.startswith("18.") else {}
    try:
        # An absolute path, because FFmpeg takes the part before a colon for a protocol.
        with av.open(str(path.absolute()), **lenient) as container:
            streams = pictures(container)
            if not streams:
                others = sorted({stream.type for stream in container.streams} - {"video"})
                raise InputError(f"{path}: has {' and '.join(others) or 'no stream'}, expected a video")
            stream = _shown(streams)
            if stream.codec_context.name in _TEXT:
                raise InputError(f"{path}: has text, expected a video")
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be decoded ({error.strerror})") from None


def pictures(container: "av.container.InputContainer") -> list["av.VideoStream"]:
    """Returns the video streams that are no cover pictures."""
    kinds = load_decoder().stream.Disposition
    covers = kinds.attached_pic | kinds.timed_thumbnails
    return [each for each in container.streams.video if each.codec_context and not each.disposition & covers]


def _shown(streams: Sequence["av.VideoStream"]) -> "av.VideoStream":
    """Returns the stream marked as default, the largest if several or none are, the first of equal ones."""
    default = load_decoder().stream.Disposition.default
    return max(streams, key=lambda each: (bool(each.disposition & default), each.width * each.height))


def decoded(
    container: "av.container.InputContainer", stream: "av.VideoStream", damage: Stretches
) -> Iterator["av.VideoFrame"]:
    """Yields the frames that can be decoded; adds the time stamps of those that cannot to `damage`.

    Raises FFmpegError if there are none.
    """
    ffmpeg_error, time, problem, is_empty = load_decoder().FFmpegError, Fraction(0), None, True
    for _ in range(_ATTEMPTS):
        try:
            for packet in container.demux(stream):
                stamp = packet.dts if packet.pts is None else packet.pts
                time = time if stamp is None else stamp * stream.time_base
                damage += [(time, time)] * packet.is_corrupt
                try:
                    frames = packet.decode()
                except ffmpeg_error as error:
                    problem = error
                    damage.append((time, time))
                    continue
                for frame in frames:
                    shown = time if frame.pts is None else frame.pts * frame.time_base
                    damage += [(shown, shown)] * frame.is_corrupt
                    is_empty = False
                    yield frame
            break
        except ffmpeg_error as error:
            problem = error
            damage.append((time, time))
    if is_empty and problem:
        raise problem


def gap(stream: "av.VideoStream") -> Fraction:
    """Returns the usual seconds from one frame to the next."""
    # A stream without time stamps has the rate only in its frames.
    rate = stream.guessed_rate if stream.start_time is None else stream.average_rate
    return 1 / (rate or Fraction(FRAMES_PER_SECOND))


def begin(container: "av.container.InputContainer", stream: "av.VideoStream") -> Fraction:
    """Returns the time stamp, in seconds, at which players begin, with sound or picture."""
    if container.start_time is not None:
        return Fraction(container.start_time, 1_000_000)
    return Fraction(0) if stream.start_time is None else stream.start_time * stream.time_base


def length(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    """Returns the seconds from `begin` to the end of the pictures, None if the header does not give them."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # FFmpeg shortens the duration to what the file holds
    if stream.duration is not None:
        end = (stream.duration + (stream.start_time or 0)) * stream.time_base
    elif tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip("\0")):
        hours, minutes, seconds = map(Fraction, tag.groups())  # of Matroska
        end = 3600 * hours + 60 * minutes + seconds
    elif container.duration is not None:
        end = Fraction(container.duration, 1_000_000)
        if "matroska" not in container.format.name:
            end += begin(container, stream)
    else:
        return None
    return max(float(end - begin(container, stream)), 0.0)
