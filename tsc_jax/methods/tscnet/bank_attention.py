"""How much the snippets of each class attend to each row of a run's bank.

A snippet is of class c where its middle lies in a ground-truth segment of c, and of background where it lies in none.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import jax
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, Split, Video
from tsc_jax.errors import InputError
from tsc_jax.inference import Forward, infer, make_forward
from tsc_jax.methods.tscnet.network import TSCNet, make_network
from tsc_jax.methods.tscnet.outputs import fuse_features
from tsc_jax.methods.tscnet.train_step import TrainState, for_inference


def class_attention(config: ml_collections.ConfigDict, state: TrainState, dataset: Dataset, split: Split) -> np.ndarray:
    """The mean attention of DSA, over heads and over the snippets of each class and of background, to each row.

    Args:
      config: of the run; its network has DSA.
      state: of the run; its averages are used where it has some.
      dataset: whose classes and rate count.
      split: the videos; those of fewer than `config.data.min_snippets` snippets are not looked at.

    Returns:
      [C + 1, K]: rows that sum to 1, and rows of 0 for classes without snippets.
    """
    attention = ((index, of_video) for index, of_video, _ in attend(config, for_inference(state), dataset, split))
    sums, counts, *_ = sums_by_class(attention, split, dataset.snippets_per_second)
    return means(sums, counts)


def attend(
    config: ml_collections.ConfigDict, state: TrainState, dataset: Dataset, split: Split
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Index, attention to the rows of the bank [T, K] and fused features [T, D] of every video, in order of length.

    Raises:
      InputError: all videos are too short to be used.
    """
    forward = make_attend(config.model, len(dataset.classes), dataset.width)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    lengths = np.array([video.num_snippets for video in split.videos])
    usable = np.flatnonzero(lengths >= config.data.min_snippets)
    if not len(usable):
        least = config.data.min_snippets
        raise InputError(f"{dataset.name}: no video has {least} snippets or more (config.data.min_snippets)")
    return infer(forward, variables, state.bank.rows, split, usable, config.eval.batch_snippets)


def make_attend(model, classes: int, width: int) -> Forward:
    """The forward pass with other outputs: attention to the bank [B, T, K] and fused features; `config.model`."""
    network = make_network(model, classes, width)

    def apply(*arguments, method):
        outputs, seen = network.apply(*arguments, method=method, mutable=["intermediates"])
        (weights,) = seen["intermediates"]["dsa"]["bank_attention"]
        return weights.mean(axis=2), fuse_features(outputs, model.fusion_weight)

    def whole(variables, bank_rows, features, mask):
        return apply(variables, features, bank_rows, mask, method=TSCNet.__call__)

    def finish(variables, bank_rows, m, f, read, mask):
        _, total, mixed = read
        return apply(variables, m, f, mixed / total[..., None], bank_rows, mask, method=TSCNet.finish)

    return dataclasses.replace(make_forward(model, classes, width), whole=jax.jit(whole), finish=jax.jit(finish))


def snippets_of(video: Video, snippets_per_second: float) -> np.ndarray:
    """Which snippets are of which class, the last one background: bool [T, C + 1]."""
    middles = (np.arange(video.num_snippets) + 0.5) / snippets_per_second
    inside = (video.segments[:, 0] <= middles[:, None]) & (middles[:, None] < video.segments[:, 1])  # [T, N]
    of_class = np.zeros((len(middles), len(video.labels) + 1), bool)
    for segment, label in enumerate(video.segment_labels):
        of_class[:, label] |= inside[:, segment]
    of_class[:, -1] = ~inside.any(axis=1)
    return of_class


def sums_by_class(
    values: Iterable[tuple[int, np.ndarray]], split: Split, snippets_per_second: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """What the means of values [T, X] of videos are made of.

    Returns:
      Sums over the snippets of each class [C + 1, X] and their numbers [C + 1]; the sum over all snippets [X], and
      their number.
    """
    sums, counts, total, snippets = 0.0, 0.0, 0.0, 0
    for index, of_video in values:
        of_class = snippets_of(split.videos[index], snippets_per_second).astype(np.float64)
        sums = sums + of_class.T @ of_video
        counts = counts + of_class.sum(axis=0)
        total = total + of_video.sum(axis=0, dtype=np.float64)
        snippets += len(of_video)
    return sums, counts, total, snippets


def means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[C + 1, X] / [C + 1], 0 where nothing was counted."""
    return sums / np.maximum(counts, 1)[:, None]
