"""Compares TSC-Net with recordings of its published implementation.

Two things keep float32 recordings from being reproduced to the last digit by anyone, PyTorch on
another machine included. Some gradients are 0 in theory, so their recorded values are rounding errors:
they are compared by their absolute error. And Adam divides every gradient by its own size, so where
a gradient is nearly 0, or an activation lies on the kink of a LeakyReLU, rounding decides which way weights
go. So a quantity beyond its tolerance after Adam's steps is computed again from starts that differ by
rounding alone. If its error is at most what two runs that each stray that far may differ by, its
verdict is "rounding" instead of "FAILS".
"""

import dataclasses
import functools
from collections.abc import Iterator

import ml_collections
import numpy as np

from tsc_jax.methods.tscnet import replay, torch
from tsc_jax.methods.tscnet.localize import localize
from tsc_jax.parity import EQUAL, FAILS, ROUNDING, Arrays, Row, Tolerance, compare, compare_rows

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("init/conv_1x1.weight", "0/cas", "gt_label")

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


OUTPUT = Tolerance(relative=2e-5, absolute=1e-5)
LOSS = Tolerance(relative=1e-5)
GRADIENT = Tolerance(relative=3e-4, norm=True)
ZERO_GRADIENT = Tolerance(absolute=1e-4)
WEIGHT = Tolerance(relative=1e-4, norm=True)
SCORE = Tolerance(absolute=1e-6)


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, statistics, losses, gradients and the steps of Adam."""
    setup = replay.set_up(recording, config, devices)
    call = replay.replay_call(setup)
    replay_training = replay.make_replay_training(setup, call)
    train = functools.cache(lambda draw: replay_training(neighbour(setup.start, draw)))
    trained = any(name.startswith(("grad/", "adam/final/")) or name == "adam/losses" for name in recording)
    computed = call | (train(0) if trained else {})
    for name, recorded in recording.items():
        if name.startswith(("init/", "in/", "meta/")) or name == "adam/lr_wd_steps":
            continue
        row = compare(name, computed.get(name), recorded, tolerance_of(name, setup))
        if row.verdict == FAILS and name.startswith("adam/") and np.isfinite(row.relative):
            ends = (train(draw)[name] for draw in range(1, DRAWS + 1))
            if row.relative <= 2 * max(compare(name, end, computed[name], row.tolerance).relative for end in ends):
                row = dataclasses.replace(row, verdict=ROUNDING)
        yield row


def tolerance_of(name: str, setup: replay.Setup) -> Tolerance:
    """What is accepted of a quantity of a model."""
    group, _, tensor = name.rpartition("/")
    if tensor in torch.COUNTERS:
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


def neighbour(start: Arrays, draw: int) -> dict[str, np.ndarray]:
    """The recorded tensors, or for draw > 0 tensors that differ from them by a little rounding."""
    if draw == 0:
        return dict(start)
    rng = np.random.default_rng(draw)
    floats = {name: tensor for name, tensor in start.items() if name not in torch.COUNTERS}
    moved = {name: x * (1 + DRAW_SIZE * rng.uniform(-1, 1, x.shape)) for name, x in floats.items()}
    return {**start, **{name: x.astype(np.float32) for name, x in moved.items()}}


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Proposals of every video: start, end and class in their order, and scores."""
    for name in (name for name in recording if name.endswith("/proposals")):
        video = name.split("/")[0]
        cas, attention, recorded = recording[f"{video}/cas"][0], recording[f"{video}/attn"][0, :, 0], recording[name]
        segments = localize([{"cas": cas, "attention": attention}], config.proposals)
        rows = np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)
        yield from compare_rows(f"proposals/{video}", rows, recorded, SCORE)
