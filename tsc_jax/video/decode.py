"""Decodes video files into upright RGB frames at 25 per second, as I3D was trained on, and thumbnails for reports."""

import contextlib
import io
import itertools
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tsc_jax.errors import InputWarning
from tsc_jax.video.container import begin, decoded, gap, length, load_decoder, open_video, pictures
from tsc_jax.video.frames import FrameFolder
from tsc_jax.video.times import FRAMES_PER_SECOND, Stretches, joined, repetitions

if TYPE_CHECKING:
    import av

SHORTER_SIDE = 256
CROP = 224
_LOST = 0.3  # seconds that the header may promise in vain
_TOLD = 5  # stretches of damage that are listed


def read_frames(path: Path | FrameFolder) -> Iterator[np.ndarray]:
    """Yields the frames of a video at 25 per second, each uint8 RGB [224, 224, 3].

    Each frame is shown from the 25th of a second nearest to its time stamp until the next frame is shown; frames of
    faster, slower or variable rates are therefore skipped or repeated. Time counts from the first frame, or from the
    sound where the pictures begin later. Frames are turned and mirrored as the file's metadata say, scaled (bilinear)
    so that the shorter side of the picture as it is shown has 256 pixels, and cropped to the centre.

    Of several streams it reads the one marked as default, else the largest. Damage is passed over. Warns with
    `InputWarning` of several streams, of damage, and of a file that ends before the time in its header. Raises
    InputError if there is no video, or none that can be decoded.
    """
    if isinstance(path, FrameFolder):
        for picture, times in path.pictures():
            yield from itertools.repeat(_centre(_scaled(_as_frame(picture))), times)
        return
    with open_video(path) as (container, stream):
        if len(pictures(container)) > 1:
            _warn(
                f"{path}: has several video streams; number {stream.index}, {stream.width} x {stream.height}, is read"
            )
        damage: Stretches = []
        origin = None if container.format.name == "avi" else begin(container, stream)  # AVI: see `repetitions`
        number = 0
        for frame, times in repetitions(decoded(container, stream, damage), gap(stream), path, origin, damage):
            if times > 0:
                yield from itertools.repeat(_centre(_upright(frame, stream)), times)
                number += times
        _tell(path, joined(damage, begin(container, stream)), length(container, stream), number / FRAMES_PER_SECOND)


def _tell(path: Path, damage: list[tuple[float, float]], promised: float | None, found: float) -> None:
    """Warns of stretches of damage, and if less was found than promised, all in seconds."""
    if damage:
        told = ", ".join(
            f"{start:.1f} to {end:.1f}" if end > start else f"{start:.1f}" for start, end in damage[:_TOLD]
        )
        more = f" and {len(damage) - _TOLD} times more" * (len(damage) > _TOLD)
        _warn(f"{path}: frames are missing or damaged at {told} seconds{more}; frames near them stand in for them")
    if promised is not None and found < promised - _LOST:
        _warn(f"{path}: is shorter than it should be: {promised:.1f} s in its header, {found:.1f} s could be decoded")


def _warn(sentence: str) -> None:
    warnings.warn(InputWarning(sentence), stacklevel=3)


def seconds(path: Path | FrameFolder) -> float | None:
    """Returns the duration of a video, None if its header does not give it; raises InputError if there is no video."""
    if isinstance(path, FrameFolder):
        return path.seconds
    with open_video(path) as (container, stream):
        return length(container, stream)


def thumbnails(path: Path | FrameFolder, number: int, height: int = 90) -> list[tuple[float, bytes]]:
    """Returns small pictures of a video, one from the middle of each of `number` equal parts.

    Each is (requested time in seconds, JPEG file of `height` pixels). There are fewer if the decoder cannot seek to a
    time, and none if the duration is unknown. Raises InputError like `read_frames`.
    """
    if isinstance(path, FrameFolder):
        times = _middles(path.seconds, number)
        return [(time, _jpeg(_scaled(_as_frame(path.picture_at(time))), height)) for time in times]
    with open_video(path) as (container, stream):
        times = _middles(length(container, stream), number)
        frames = ((time, _frame_at(container, stream, time)) for time in times)
        return [(time, _jpeg(_upright(frame, stream), height)) for time, frame in frames if frame is not None]


def _middles(end: float | None, number: int) -> list[float]:
    """Returns the middle of each of `number` equal parts of a duration; none if it is unknown."""
    return [] if end is None else [(index + 0.5) * end / number for index in range(number)]


def _as_frame(picture: np.ndarray) -> "av.VideoFrame":
    return load_decoder().VideoFrame.from_ndarray(picture, "rgb24")


def _centre(picture: np.ndarray) -> np.ndarray:
    """Returns its central CROP x CROP pixels."""
    top, left = ((side - CROP) // 2 for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top:, left:][:CROP, :CROP])


def _scaled(frame: "av.VideoFrame", aspect: Fraction | None = None) -> np.ndarray:
    """Returns uint8 RGB [H, W, 3] with a shorter side of SHORTER_SIDE pixels; `aspect` is that of a pixel."""
    shown = (frame.width * (aspect or 1), frame.height)
    width, height = (max(round(side * SHORTER_SIDE / min(shown)), SHORTER_SIDE) for side in shown)
    return frame.reformat(width, height, "rgb24", interpolation="BILINEAR").to_ndarray()


def _upright(frame: "av.VideoFrame", stream: "av.VideoStream") -> np.ndarray:
    """Returns uint8 RGB [H, W, 3] as players show it, with a shorter side of SHORTER_SIDE pixels."""
    picture = _scaled(frame, stream.sample_aspect_ratio)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    # A pixel (x, y) is shown at (a x + c y, b x + d y), y downwards.
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).tolist()
    if abs(b) > abs(a):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _frame_at(
    container: "av.container.InputContainer", stream: "av.VideoStream", time: float
) -> "av.VideoFrame | None":
    """Returns the frame shown at a time in seconds since the start, None if there is none."""
    target = round((begin(container, stream) + Fraction(time)) / stream.time_base)
    shown = None
    with contextlib.suppress(load_decoder().FFmpegError):  # the time may be in damage
        container.seek(target, stream=stream)
        for frame in decoded(container, stream, []):
            if frame.pts is None or (shown is not None and frame.pts > target):
                break
            shown = frame
    return shown


def _jpeg(picture: np.ndarray, height: int) -> bytes:
    from PIL import Image

    image = Image.fromarray(picture)
    image = image.resize((max(round(image.width * height / image.height), 1), height))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
