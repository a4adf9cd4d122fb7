"""Compares this library with recordings of the published implementation, quantity by quantity.

The `parity` module of a method knows what its recordings hold; this module holds what all methods share.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_collections
import numpy as np

from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.localization.segments import make_segments
from tsc_jax.unpickle import opened

OK, ROUNDING, FAILS = "ok", "rounding", "FAILS"

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The accepted error; it is enough to keep one of the two bounds."""

    relative: float = 0.0  # to the largest recorded entry
    absolute: float = 0.0  # of the largest difference
    norm: bool = False  # the relative error is one of L2 norms

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

    Raises InputError if the folder holds no recording, or one that is damaged or of something else.
    """
    module = methods.part(config.method, "parity")
    if module is None:
        raise InputError(f"config.method is {config.method!r}, which has no comparison with recordings")
    checks = {
        "model.npz": functools.partial(module.check_model, config=config, devices=devices),
        "proposals.npz": functools.partial(module.check_proposals, config=config),
        "detection_map.npz": getattr(module, "check_detection_map", check_detection_map),
    }
    paths = {folder / name: check for name, check in checks.items() if (folder / name).exists()}
    if not paths:
        raise InputError(f"--golden {folder}: holds none of {', '.join(checks)}")
    for path, check in paths.items():
        recording = read_recording(path)
        try:
            yield from check(recording)
        except (KeyError, InputError) as error:
            reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
            raise InputError(f"{path}: {reason}") from error


def method_of(folder: Path) -> str:
    """The method whose recordings a folder holds, by the names of their arrays; InputError where none is known."""
    there = {name for path in sorted(folder.glob("*.npz")) for name in read_recording(path)}
    for method in methods.names():
        module = methods.part(method, "parity")
        if module is not None and not there.isdisjoint(module.MARKS):
            return method
    raise InputError(f"--golden {folder}: holds no recording of {', '.join(methods.names())}")


def read_recording(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of a .npz file without unpickling any."""
    with opened(path, ".npz file") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def compare(quantity: str, computed: np.ndarray | None, recorded: np.ndarray, tolerance: Tolerance) -> Row:
    """Compares one quantity; an unknown quantity and another shape fail."""
    if computed is None or np.shape(computed) != recorded.shape:
        return Row(quantity, np.inf, np.inf, tolerance, FAILS)
    difference = np.asarray(computed, np.float64) - recorded
    absolute = float(np.max(np.abs(difference), initial=0))
    error, size = absolute, np.max(np.abs(recorded), initial=0)
    if tolerance.norm:
        error, size = np.linalg.norm(difference), np.linalg.norm(recorded)
    relative = float(error / size) if size else (np.inf if error else 0.0)
    accepted = relative <= tolerance.relative or absolute <= tolerance.absolute
    return Row(quantity, absolute, relative, tolerance, OK if accepted else FAILS)


def compare_rows(quantity: str, rows: np.ndarray, recorded: np.ndarray, scores: Tolerance) -> Iterator[Row]:
    """Compares rows of segments, whose last column is a score; the other columns and the order must be equal."""
    yield compare(f"{quantity} segments", rows[:, :-1], recorded[:, :-1], EQUAL)
    yield compare(f"{quantity} scores", rows[:, -1], recorded[:, -1], scores)


def check_detection_map(recording: Arrays) -> Iterator[Row]:
    """Compares the AP per class and the mAP at every tIoU."""
    names = np.concatenate([recording["gt_video"], recording["pred_video"]])
    _, videos = np.unique(names, return_inverse=True)
    truth_videos, videos = np.split(videos, [len(recording["gt_video"])])
    truth = make_segments(truth_videos, *(recording[f"gt_{column}"] for column in ("label", "start", "end")))
    columns = (recording[f"pred_{column}"] for column in ("label", "start", "end", "score"))
    computed = average_precisions(truth, make_segments(videos, *columns), recording["tiou"], recording["ap"].shape[1])
    present = ~np.isnan(computed[0])
    for i, tiou in enumerate(recording["tiou"]):
        yield compare(f"AP@{tiou:g} by class", computed[i, present], recording["ap"][i, present], PRECISION)
        yield compare(f"mAP@{tiou:g}", computed[i, present].mean(), recording["mAP"][i], PRECISION)
