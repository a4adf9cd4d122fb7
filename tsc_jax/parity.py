"""Compares this library with recordings of the published implementation, quantity by quantity.

What a recording of a method holds is known by its `parity` module; what all share is here.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_collections
import numpy as np

from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.localization.segments import make_segments

OK, ROUNDING, FAILS = "ok", "rounding", "FAILS"

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The accepted error; it is enough to keep one of the two bounds."""

    relative: float = 0.0  # to the largest recorded entry, or where `norm` holds, of L2 norms
    absolute: float = 0.0  # of the largest difference
    norm: bool = False  # whether the relative error is one of L2 norms

    def __str__(self) -> str:
        parts = [f"{self.relative:.0e} relative{' L2' * self.norm}"] * (self.relative > 0)
        parts += [f"{self.absolute:.0e} absolute"] * (self.absolute > 0)
        return " or ".join(parts) or "equal"


PRECISION = Tolerance(absolute=1e-9)
EQUAL = Tolerance()


@dataclasses.dataclass(frozen=True)
class Row:
    """The comparison of one quantity: its largest errors, what is accepted, and the verdict."""

    quantity: str
    absolute: float
    relative: float
    tolerance: Tolerance
    verdict: str


def check_folder(folder: Path, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Compares everything that a folder of recordings holds; `config` is the published recipe.

    Raises:
      InputError: no recording there, or one that is damaged or of something else.
    """
    module = methods.part(config.method, "parity")
    if module is None:
        raise InputError(f"config.method is {config.method!r}, of which no recordings are known here")
    checks = module.checks(config, devices) | {"detection_map.npz": check_detection}
    paths = {folder / name: check for name, check in checks.items() if (folder / name).exists()}
    if not paths:
        raise InputError(f"--golden {folder}: holds none of {', '.join(checks)}")
    for path, check in paths.items():
        recording = read_recording(path)
        try:
            yield from check(recording)
        except KeyError as error:
            raise InputError(f"{path}: {error.args[0]} is missing") from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def read_recording(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a .npz file, none of them unpickled."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # A damaged file trips zipfile, zlib or NumPy up, each with exceptions of its own.
    except Exception as error:
        raise InputError(f"{path}: not a whole .npz file ({str(error).splitlines()[0]})") from error


def compare(quantity: str, computed: np.ndarray | None, recorded: np.ndarray, tolerance: Tolerance) -> Row:
    """The row of one quantity; an unknown quantity and another shape fail."""
    if computed is None or np.shape(computed) != recorded.shape:
        return Row(quantity, np.inf, np.inf, tolerance, FAILS)
    difference = np.asarray(computed, np.float64) - recorded
    absolute = float(np.max(np.abs(difference), initial=0))
    if tolerance.norm:
        relative = ratio(np.linalg.norm(difference), np.linalg.norm(recorded))
    else:
        relative = ratio(absolute, np.max(np.abs(recorded), initial=0))
    accepted = relative <= tolerance.relative or absolute <= tolerance.absolute
    return Row(quantity, absolute, relative, tolerance, OK if accepted else FAILS)


def ratio(error: float, size: float) -> float:
    """error / size; nothing of nothing is 0."""
    return 0.0 if error == 0 else float(error / size) if size else np.inf


def check_detection(recording: Arrays) -> Iterator[Row]:
    """AP by class and mAP, at every tIoU."""
    names = ("gt_video", "pred_video")
    _, videos = np.unique(np.concatenate([recording[name] for name in names]), return_inverse=True)
    truth_videos, videos = np.split(videos, [len(recording["gt_video"])])
    truth = make_segments(truth_videos, *(recording[f"gt_{column}"] for column in ("label", "start", "end")))
    columns = (recording[f"pred_{column}"] for column in ("label", "start", "end", "score"))
    computed = average_precisions(truth, make_segments(videos, *columns), recording["tiou"], recording["ap"].shape[1])
    present = ~np.isnan(computed[0])
    for i, tiou in enumerate(recording["tiou"]):
        yield compare(f"AP@{tiou:g} by class", computed[i, present], recording["ap"][i, present], PRECISION)
        yield compare(f"mAP@{tiou:g}", computed[i, present].mean(), recording["mAP"][i], PRECISION)
