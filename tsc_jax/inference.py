"""The forward pass over whole videos: padded batches of a few lengths, one compilation each."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from tsc_jax.data.dataset import Split
from tsc_jax.tscnet.network import fuse, make_network

MAX_LENGTHS = 8  # each costs a compilation
WASTE = 0.25  # padding that is worth sparing one, as a share of the snippets


def make_forward(model, classes: int, width: int) -> Callable:
    """`forward(variables, bank_rows, features, mask) -> (cas, attention)`, fused and jitted; `config.model`."""
    network = make_network(model, classes, width)

    @jax.jit
    def forward(variables, bank_rows, features, mask):
        return fuse(network.apply(variables, features, bank_rows, mask), model.fusion_weight)

    return forward


def padded_lengths(lengths: np.ndarray) -> np.ndarray:
    """Lengths to pad to: the fewest that keep padding below WASTE, at most MAX_LENGTHS, and of those the tightest."""
    enough = sum(lengths) * (1 + WASTE)
    for number in range(1, MAX_LENGTHS + 1):
        buckets = tightest_lengths(lengths, number)
        if buckets[np.searchsorted(buckets, lengths)].sum() <= enough:
            break
    return buckets


def tightest_lengths(lengths: np.ndarray, number: int) -> np.ndarray:
    """At most `number` lengths to pad to, rising, such that all videos together are padded least.

    Exact, by dynamic programming over the distinct lengths: cost[j] is the least padded total of the
    videos of the first j lengths when a bucket ends with the last of them.
    """
    distinct, counts = np.unique(lengths, return_counts=True)
    videos = np.concatenate([[0], np.cumsum(counts)])
    # bucket[i, j]: padded total when lengths i .. j - 1 share a bucket, infinite where that is empty.
    bucket = (videos[None, :] - videos[:, None]) * np.concatenate([[0], distinct]).astype(float)
    bucket[np.tril_indices_from(bucket)] = np.inf
    cost, choices = np.append(0.0, np.full(len(distinct), np.inf)), []
    for _ in range(min(number, len(distinct))):
        totals = cost[:, None] + bucket
        choices.append(totals.argmin(axis=0))
        cost = totals.min(axis=0)
    ends, end = [], len(distinct)
    for choice in reversed(choices):
        ends.append(distinct[end - 1])
        end = choice[end]
    return np.array(ends[::-1])


def padded_batches(split: Split, indices: np.ndarray, batch_snippets: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Batches of whole videos: indices [b], features float32 [B, T, D] and mask bool [B, T].

    B is the same for all batches of one T, at most `batch_snippets` // T but at least 1; b <= B, the
    rows past b are empty videos.
    """
    lengths = np.array([split.videos[index].num_snippets for index in indices])
    buckets = padded_lengths(lengths)
    bucket_of = np.searchsorted(buckets, lengths)
    for bucket, length in enumerate(buckets):
        members = indices[bucket_of == bucket]
        size = min(len(members), max(1, batch_snippets // length))
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            videos = [split.features(index) for index in chosen]
            features = np.zeros((size, length, videos[0].shape[1]), np.float32)
            mask = np.zeros((size, length), bool)
            for row, video in enumerate(videos):
                features[row, : len(video)] = video
                mask[row, : len(video)] = True
            yield chosen, features, mask


def infer(
    forward: Callable, variables: dict, bank_rows: jax.Array, split: Split, indices: np.ndarray, batch_snippets: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Index, fused CAS [T, C + 1] and attention [T] of every video, not padded; in order of length."""
    for chosen, features, mask in padded_batches(split, indices, batch_snippets):
        cas, attention = jax.device_get(forward(variables, bank_rows, features, mask))
        for row, index in enumerate(chosen):
            length = split.videos[index].num_snippets
            yield int(index), cas[row, :length], attention[row, :length]
