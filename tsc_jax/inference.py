"""The forward pass over whole videos of any length.

Videos are padded to a few lengths, one compilation each, and dealt to all local devices; batches are read
ahead and dispatched before the results of the one before are fetched. A video longer than a batch may be
goes chunk by chunk: the same numbers in the memory of one chunk.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator

import grain
import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.data.dataset import Split
from tsc_jax.methods.tscnet.network import TSCNet, attention_logits, make_network, reach
from tsc_jax.methods.tscnet.outputs import fuse
from tsc_jax.nn.layers import product

MAX_LENGTHS = 8  # each costs a compilation
WASTE = 0.2  # padding that is worth sparing one, as a share of the snippets


@dataclasses.dataclass(frozen=True)
class Forward:
    """The compiled forward pass, at once and in parts.

    Attributes:
      whole: (variables, bank_rows, features [B, T, D], mask [B, T]) -> fused CAS [B, T, C + 1] and attention [B, T].
      project: (variables, features, mask) -> pyramid features, residual stream, queries, keys, values of a chunk.
      absorb: (read, queries, keys, values, mask) -> read; what queries have read so far, and one more chunk of keys.
      finish: (variables, bank_rows, pyramid features, residual stream, read, mask) -> fused CAS and attention.
      halo: snippets on either side that a chunk needs besides its own.
    """

    whole: Callable
    project: Callable
    absorb: Callable
    finish: Callable
    halo: int


def make_forward(model, classes: int, width: int) -> Forward:
    """The forward pass of TSC-Net, nothing compiled yet; `config.model`."""
    network = make_network(model, classes, width)

    def whole(variables, bank_rows, features, mask):
        return fuse(network.apply(variables, features, bank_rows, mask), model.fusion_weight)

    def project(variables, features, mask):
        return network.apply(variables, features, mask, method=TSCNet.project)

    def finish(variables, bank_rows, m, f, read, mask):
        _, total, mixed = read
        outputs = network.apply(variables, m, f, mixed / total[..., None], bank_rows, mask, method=TSCNet.finish)
        return fuse(outputs, model.fusion_weight)

    return Forward(*map(jax.jit, (whole, project, absorb, finish)), halo=reach(model))


def absorb(read: tuple | None, q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> tuple:
    """One more chunk of keys and values for queries that attend to a whole video.

    The softmax over all keys, summed chunk by chunk relative to the largest logit so far.

    Args:
      read: largest logit and sum of weights so far, float32 [B, heads, T], and the weighted sum of values, float32
        [B, heads, T, E]; None before the first chunk.
      q: [B, heads, T, E].
      k: [B, heads, S, E].
      v: [B, heads, S, E].
      mask: bool [B, S], some of it True.
    """
    logits = jnp.where(mask[:, None, None, :], attention_logits(q, k), -jnp.inf)
    largest = jnp.max(logits, axis=-1)
    if read is not None:
        largest = jnp.maximum(read[0], largest)
    weights = jnp.exp(logits - largest[..., None])
    total, mixed = jnp.sum(weights, axis=-1), product("bhts,bhse->bhte", v.dtype, weights, v)
    if read is not None:
        kept = jnp.exp(read[0] - largest)
        total, mixed = total + kept * read[1], mixed + kept[..., None] * read[2]
    return largest, total, mixed


def padded_lengths(lengths: np.ndarray) -> np.ndarray:
    """Lengths to pad to: the fewest that keep padding below WASTE, at most MAX_LENGTHS, and of those the tightest.

    A single video is padded to one of four lengths an octave: who comes with one after the other compiles few.
    """
    if len(lengths) == 1:
        step = 2 ** max(0, int(lengths[0]).bit_length() - 3)
        return -(-lengths // step) * step
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


def padded_batches(
    split: Split, indices: np.ndarray, batch_snippets: int, devices: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches of whole videos: indices [b], features float32 [B, T, D] and mask bool [B, T]; read ahead by threads.

    B is a multiple of `devices` and the same for all batches of one T, each device's share of it at most
    `batch_snippets` // T but at least 1; b <= B, the rows past b are empty videos.
    """
    lengths = np.array([split.videos[index].num_snippets for index in indices])
    buckets = padded_lengths(lengths)
    bucket_of = np.searchsorted(buckets, lengths)
    plan = []
    for bucket, length in enumerate(buckets):
        members = indices[bucket_of == bucket]
        batches = -(-len(members) // (devices * max(1, batch_snippets // length)))
        rows = devices * -(-len(members) // (batches * devices))
        plan += [(members[start : start + rows], rows, length) for start in range(0, len(members), rows)]

    def load(batch: tuple[np.ndarray, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen, rows, length = batch
        videos = [split.features(index) for index in chosen]
        features = np.zeros((rows, length, videos[0].shape[1]), np.float32)
        mask = np.zeros((rows, length), bool)
        for row, video in enumerate(videos):
            features[row, : len(video)] = video
            mask[row, : len(video)] = True
        return chosen, features, mask

    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    return iter(grain.MapDataset.source(plan).map(load).to_iter_dataset(ahead))


def infer(
    forward: Forward, variables: dict, bank_rows: jax.Array, split: Split, indices: np.ndarray, batch_snippets: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Index, fused CAS [T, C + 1] and attention [T] of every video, not padded; in order of length.

    Args:
      forward: of `make_forward`.
      variables: parameters and batch statistics.
      bank_rows: [K, D].
      split: the videos.
      indices: int, those to infer.
      batch_snippets: padded snippets of a batch on one device, at most; longer videos go in chunks of as many.
    """
    lengths = np.array([split.videos[index].num_snippets for index in indices])
    short, devices = indices[lengths <= batch_snippets], jax.local_devices()
    over_devices = jax.sharding.NamedSharding(
        jax.sharding.Mesh(devices, "videos"), jax.sharding.PartitionSpec("videos")
    )
    everywhere = jax.sharding.NamedSharding(over_devices.mesh, jax.sharding.PartitionSpec())
    held = jax.device_put((variables, bank_rows), everywhere)

    def results(chosen, outputs):
        cas, attention = jax.device_get(outputs)
        for row, index in enumerate(chosen):
            length = split.videos[index].num_snippets
            yield int(index), cas[row, :length], attention[row, :length]

    dispatched = collections.deque()
    for chosen, *batch in padded_batches(split, short, batch_snippets, len(devices)) if len(short) else ():
        dispatched.append((chosen, forward.whole(*held, *jax.device_put(batch, over_devices))))
        if len(dispatched) > 1:
            yield from results(*dispatched.popleft())
    for each in dispatched:
        yield from results(*each)
    for index in indices[lengths > batch_snippets]:
        yield int(index), *infer_in_chunks(forward, variables, bank_rows, split.features(index), batch_snippets)


def infer_in_chunks(
    forward: Forward, variables: dict, bank_rows: jax.Array, features: np.ndarray, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fused CAS [T, C + 1] and attention [T] of one video [T, D], in the device memory of `chunk` snippets.

    Keys and values of all snippets wait on the host until the queries of a chunk attend to them, chunk by chunk.
    """
    length, halo = len(features), forward.halo
    starts = range(0, length, chunk)

    def window(start: int) -> tuple[np.ndarray, np.ndarray]:
        """A chunk with its halo as a batch of one video, zeros and False outside of the video."""
        places = np.arange(start - halo, start + chunk + halo)
        inside = (places >= 0) & (places < length)
        taken = features[np.clip(places, 0, length - 1)]
        return np.where(inside[:, None], taken, 0).astype(np.float32)[None], inside[None]

    own = slice(halo, halo + chunk)
    held = []
    for start in starts:
        values, mask = window(start)
        *_, k, v = forward.project(variables, values, mask)
        held.append((*jax.device_get((k[:, :, own], v[:, :, own])), mask[:, own]))
    parts = []
    for start in starts:
        values, mask = window(start)
        m, f, q, *_ = forward.project(variables, values, mask)
        read = None
        for each in held:
            read = forward.absorb(read, q, *each)
        parts.append([part[0, own] for part in jax.device_get(forward.finish(variables, bank_rows, m, f, read, mask))])
    cas, attention = (np.concatenate(part)[:length] for part in zip(*parts, strict=True))
    return cas, attention
