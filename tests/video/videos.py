"""Writes small real videos for tests."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    times: Sequence[Fraction] | None = None,
    codec: str = "ffv1",
    rotation: int = 0,
    title: str = "",
) -> Path:
    """Encodes RGB frames [H, W, 3], at 25 a second or at their own times in seconds (of whole milliseconds)."""
    with av.open(path, "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        if rotation:
            stream.set_display_rotation(rotation)
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
            frame.pts = round((Fraction(index, 25) if times is None else times[index]) / MILLISECOND)
            frame.time_base = MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """Writes half a second of silence."""
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def grey(number: int, value: int = 0, size: int = 16) -> list[np.ndarray]:
    """Returns frames of one shade each: `value`, then 3 brighter per frame."""
    return [np.full((size, size, 3), value + 3 * index, np.uint8) for index in range(number)]


def moving(number: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Returns frames of a texture that moves by three pixels per frame."""
    height, width = size
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    texture = noise.repeat(8, axis=0).repeat(8, axis=1)
    return [np.roll(texture, 3 * index, axis=1) for index in range(number)]
