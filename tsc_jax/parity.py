"""Compares this library with recordings of the published implementation, quantity by quantity.

Two things keep float32 recordings from being reproduced to the last digit by anyone, PyTorch on
another machine included. Some gradients are 0 in theory, so what is recorded of them is rounding:
they are compared by their absolute error. And Adam divides every gradient by its own size, so where
one is nearly 0, or an activation lies on the kink of a LeakyReLU, rounding decides which way weights
go. So a quantity beyond its tolerance after Adam's steps is computed again from starts that differ by
rounding alone; if the error is what two runs that each stray as far as those may differ by, its
verdict is "rounding" instead of "FAILS".
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import ml_collections
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.localization.segments import make_segments
from tsc_jax.methods.tscnet import replay, torch_state
from tsc_jax.methods.tscnet.localize import localize
from tsc_jax.methods.tscnet.replay import Arrays

OK, ROUNDING, FAILS = "ok", "rounding", "FAILS"

# Biases that change nothing: a softmax over keys cancels what all keys share (conv_key, fc_k), its weights
# sum to 1, so a bias of the values is a constant (conv_value, fc_v), and a BatchNorm takes constants out
# (conv_out, fc_o, fc2; for the first bn of the semantic branch the one that follows).
ZERO_GRADIENTS = (
    *(f"MHSA_Intra.conv_{name}.bias" for name in ("key", "value", "out")),
    *(f"cluster_transformer.mhatt.attention.{name}.bias" for name in ("fc_k", "fc_v", "fc_o", "bn")),
    "cluster_transformer.pwff.fc2.bias",
)
DRAWS = 8  # starts tried beside the recorded one
DRAW_SIZE = 2**-22  # by which they differ, as a share of each weight: float32's own rounding


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What is accepted: one of the two bounds suffices.

    Attributes:
      relative: to the largest recorded entry, or where `norm` holds, of L2 norms.
      absolute: of the largest difference.
      norm: whether the relative error is one of L2 norms.
    """

    relative: float = 0.0
    absolute: float = 0.0
    norm: bool = False

    def __str__(self) -> str:
        parts = [f"{self.relative:.0e} relative{' L2' * self.norm}"] * (self.relative > 0)
        parts += [f"{self.absolute:.0e} absolute"] * (self.absolute > 0)
        return " or ".join(parts) or "equal"


OUTPUT = Tolerance(relative=2e-5, absolute=1e-5)
LOSS = Tolerance(relative=1e-5)
GRADIENT = Tolerance(relative=3e-4, norm=True)
ZERO_GRADIENT = Tolerance(absolute=1e-4)
WEIGHT = Tolerance(relative=1e-4, norm=True)
SCORE = Tolerance(absolute=1e-6)
PRECISION = Tolerance(absolute=1e-9)
EQUAL = Tolerance()


@dataclasses.dataclass(frozen=True)
class Row:
    """What one quantity came to: its largest errors, what is accepted, and the verdict."""

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
    checks = {
        "model.npz": functools.partial(check_model, config=config, devices=devices),
        "proposals.npz": functools.partial(check_proposals, config=config),
        "detection_map.npz": check_detection,
    }
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


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, statistics, losses, gradients and the steps of Adam."""
    setup = replay.set_up(recording, config, devices)
    call = replay.replay_call(setup)
    replay_training = replay.make_replay_training(setup, call)
    train = functools.cache(lambda draw: replay_training(neighbour(setup.start, draw)))
    trained = any(name.startswith(("grad/", "adam/final/")) or name == "adam/losses" for name in recording)
    found = call | (train(0) if trained else {})
    for name, recorded in recording.items():
        if name.startswith(("init/", "in/", "meta/")) or name == "adam/lr_wd_steps":
            continue
        row = compare(name, found.get(name), recorded, tolerance_of(name, setup))
        if row.verdict == FAILS and name.startswith("adam/") and np.isfinite(row.relative):
            ends = (train(draw)[name] for draw in range(1, DRAWS + 1))
            if row.relative <= 2 * max(compare(name, end, found[name], row.tolerance).relative for end in ends):
                row = dataclasses.replace(row, verdict=ROUNDING)
        yield row


def tolerance_of(name: str, setup: replay.Setup) -> Tolerance:
    """What is accepted of a quantity of a model."""
    group, _, tensor = name.rpartition("/")
    if tensor in torch_state.COUNTERS:
        return EQUAL
    if group.startswith("loss") or name == "adam/losses":
        return LOSS
    if group == "grad":
        return ZERO_GRADIENT if tensor in ZERO_GRADIENTS else GRADIENT
    if group == "adam/final":
        # Rounding drives these biases, and with them the means of the BatchNorms behind them, by whole steps.
        drifts = tensor in ZERO_GRADIENTS or tensor.endswith("running_mean")
        return Tolerance(absolute=2 * setup.config.optimizer.learning_rate * setup.steps) if drifts else WEIGHT
    return OUTPUT


def compare(quantity: str, found: np.ndarray | None, recorded: np.ndarray, tolerance: Tolerance) -> Row:
    """The row of one quantity; one that is not known or has another shape fails."""
    if found is None or np.shape(found) != recorded.shape:
        return Row(quantity, np.inf, np.inf, tolerance, FAILS)
    difference = np.asarray(found, np.float64) - recorded
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


def neighbour(start: Arrays, draw: int) -> dict[str, np.ndarray]:
    """The recorded tensors, or for draw > 0 tensors that differ from them by a little rounding."""
    if draw == 0:
        return dict(start)
    rng = np.random.default_rng(draw)
    floats = {name: tensor for name, tensor in start.items() if name not in torch_state.COUNTERS}
    moved = {name: x * (1 + DRAW_SIZE * rng.uniform(-1, 1, x.shape)) for name, x in floats.items()}
    return {**start, **{name: x.astype(np.float32) for name, x in moved.items()}}


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Proposals of every video: start, end and class in their order, and scores."""
    for name in (name for name in recording if name.endswith("/proposals")):
        video = name.split("/")[0]
        cas, attention, recorded = recording[f"{video}/cas"][0], recording[f"{video}/attn"][0, :, 0], recording[name]
        found, _ = localize([{"cas": cas, "attention": attention}], config.proposals)
        rows = np.stack([found.start, found.end, found.label, found.score], axis=1)
        yield compare(f"proposals/{video} segments", rows[:, :3], recorded[:, :3], EQUAL)
        yield compare(f"proposals/{video} scores", rows[:, 3], recorded[:, 3], SCORE)


def check_detection(recording: Arrays) -> Iterator[Row]:
    """AP by class and mAP, at every tIoU."""
    names = ("gt_video", "pred_video")
    _, videos = np.unique(np.concatenate([recording[name] for name in names]), return_inverse=True)
    truth_videos, videos = np.split(videos, [len(recording["gt_video"])])
    truth = make_segments(truth_videos, *(recording[f"gt_{column}"] for column in ("label", "start", "end")))
    columns = (recording[f"pred_{column}"] for column in ("label", "start", "end", "score"))
    found = average_precisions(truth, make_segments(videos, *columns), recording["tiou"], recording["ap"].shape[1])
    present = ~np.isnan(found[0])
    for i, tiou in enumerate(recording["tiou"]):
        yield compare(f"AP@{tiou:g} by class", found[i, present], recording["ap"][i, present], PRECISION)
        yield compare(f"mAP@{tiou:g}", found[i, present].mean(), recording["mAP"][i], PRECISION)
