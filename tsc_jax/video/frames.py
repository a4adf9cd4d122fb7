"""A video as a folder of pictures, one file per frame: frame_000001.jpg, frame_000002.jpg ..."""

import dataclasses
import functools
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from tsc_jax.errors import InputError, InputWarning
from tsc_jax.video.times import nearest_frame

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class FrameFolder:
    """The frames of one video, in the order of the numbers in their names."""

    folder: Path
    frames_per_second: float

    def __post_init__(self) -> None:
        """Raises InputError for an impossible rate."""
        if not 0 < self.frames_per_second < np.inf:
            raise InputError(f"--frames_per_second is {self.frames_per_second}, expected a positive number")

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def stem(self) -> str:
        """Returns its name, that of the folder."""
        return self.folder.absolute().name

    @functools.cached_property
    def files(self) -> list[Path]:
        """Lists its pictures; 9.jpg comes before 10.jpg."""
        return sorted(filter(is_picture, self.folder.iterdir()), key=_in_order)

    @property
    def seconds(self) -> float:
        """Returns its duration."""
        return len(self.files) / self.frames_per_second

    def pictures(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields each picture that is shown, uint8 RGB [H, W, 3], and how many frames at 25 per second show it.

        Warns with `InputWarning` where the numbers in the names leave frames out, because times count the files. Raises
        InputError for a file that is no picture.
        """
        numbers = [int(match[0]) for file in self.files if (match := re.search(r"\d+(?=\D*$)", file.stem))]
        steps = np.diff(numbers)
        if len(set(steps.tolist())) > 1:
            odd = int(np.argmax(steps != np.median(steps)))
            warnings.warn(
                InputWarning(
                    f"{self}: frame {numbers[odd]} is followed by frame {numbers[odd + 1]}; times count the files, as"
                    " if no frame were missing"
                ),
                stacklevel=2,
            )
        gap, begun = 1 / Fraction(str(self.frames_per_second)), 0
        for number, file in enumerate(self.files, 1):
            end = nearest_frame(number * gap)
            if end > begun:
                yield read_picture(file), end - begun
            begun = end

    def picture_at(self, seconds: float) -> np.ndarray:
        """Returns the picture that is shown at a time within its duration."""
        return read_picture(self.files[int(seconds * self.frames_per_second)])


def is_picture(path: Path) -> bool:
    """Returns whether a file is a picture, by its suffix."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture upright, as its EXIF data say: uint8 RGB [H, W, 3]; raises InputError if it is none."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise InputError(
            "reading frames needs the package pillow, which is not installed: pip install -r requirements-video.txt"
        ) from None
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"{path}: cannot be read, expected a picture") from None


def _in_order(path: Path) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
