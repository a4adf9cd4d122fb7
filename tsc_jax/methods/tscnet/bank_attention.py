"""How much the snippets of each class attend to each row of a run's bank.

A snippet belongs to class c where its middle lies in a ground-truth segment of c, and to background where it lies in
none.
"""

import functools
from collections.abc import Iterable, Iterator

import jax
import numpy as np

from tsc_jax.data.dataset import Split, Video
from tsc_jax.errors import InputError
from tsc_jax.inference import Forward, OfVideo, infer
from tsc_jax.method import Outputs
from tsc_jax.methods.tscnet import chunks
from tsc_jax.methods.tscnet.network import TSCNet, apply, fuse_features, make_network
from tsc_jax.training.trained import Trained


def class_attention(trained: Trained, split: Split) -> np.ndarray:
    """The mean attention of DSA, over heads and over the snippets of each class and of background, to each row.

    Videos of fewer than `config.data.min_snippets` snippets are left out. Returns [C + 1, K]: rows that sum to 1, and
    rows of 0 for classes without snippets.
    """
    attention = ((index, outputs["bank_attention"]) for index, outputs in attend(trained, split, features=False))
    sums, counts, *_ = sums_by_class(attention, split)
    return means(sums, counts)


def attend(trained: Trained, split: Split, features: bool) -> Iterator[tuple[int, OfVideo]]:
    """Index and outputs of every video: "bank_attention" [T, K] and, if asked for, "features", the fused ones [T, D].

    Without features most of the network is not computed.

    Raises:
      InputError: all videos are too short to be used.
    """
    config, sizes = trained.config, trained.sizes
    network = make_network(config.model, sizes.classes, sizes.width)
    read = functools.partial(read_attention, config.model.fusion_weight if features else None)

    @jax.jit
    def whole(variables, features, mask):
        return read(network, variables, features, variables["bank"].rows, mask, method=TSCNet.__call__)

    lengths = np.array([video.num_snippets for video in split.videos])
    usable = np.flatnonzero(lengths >= config.data.min_snippets)
    if not len(usable):
        least = config.data.min_snippets
        raise InputError(f"{config.data.name}: no video has {least} snippets or more (config.data.min_snippets)")
    forward = Forward(whole, chunks.make(config, sizes, read))
    return infer(forward, trained.variables, split, usable, config.eval.batch_snippets)


def read_attention(weight: float | None, network, variables, *arguments, method=TSCNet.finish) -> Outputs:
    """The attention to the bank, averaged over heads, and the features fused with `weight`, of a batch or a chunk."""
    outputs, seen = apply(network, variables, *arguments, method=method, mutable=["intermediates"])
    (weights,) = seen["intermediates"]["dsa"]["bank_attention"]
    fused = {} if weight is None else {"features": fuse_features(outputs, weight)}
    return Outputs({"bank_attention": weights.mean(axis=2)} | fused)


def snippets_of(video: Video) -> np.ndarray:
    """Whether each snippet belongs to each class, background last: bool [T, C + 1]."""
    middles = video.clock.seconds(np.arange(video.num_snippets) + 0.5)
    inside = (video.segments[:, 0] <= middles[:, None]) & (middles[:, None] < video.segments[:, 1])  # [T, N]
    of_class = np.zeros((len(middles), len(video.labels) + 1), bool)
    for segment, label in enumerate(video.segment_labels):
        of_class[:, label] |= inside[:, segment]
    of_class[:, -1] = ~inside.any(axis=1)
    return of_class


def sums_by_class(
    values: Iterable[tuple[int, np.ndarray]], split: Split
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Sums and counts of the values [T, X] of videos, for means by class.

    Returns:
      Sums over the snippets of each class [C + 1, X] and their numbers [C + 1]; the sum over all snippets [X], and
      their number.
    """
    sums, counts, total, snippets = 0.0, 0.0, 0.0, 0
    for index, of_video in values:
        of_class = snippets_of(split.videos[index]).astype(np.float64)
        sums = sums + of_class.T @ of_video
        counts = counts + of_class.sum(axis=0)
        total = total + of_video.sum(axis=0, dtype=np.float64)
        snippets += len(of_video)
    return sums, counts, total, snippets


def means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[C + 1, X] / [C + 1], 0 where nothing was counted."""
    return sums / np.maximum(counts, 1)[:, None]
