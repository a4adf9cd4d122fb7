"""The forward pass of any method over whole videos of any length.

Videos are padded to a few lengths, one compilation each, and dealt to all local devices. Batches are read ahead and
dispatched before the outputs of the batch before are fetched. A video that is longer than a batch may be goes through
the method's `chunks` where it has them, else it is a batch of its own.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import jax
import numpy as np
import tqdm

from tsc_jax import methods, processes, refine
from tsc_jax.data.dataset import Split
from tsc_jax.data.lengths import padded_lengths
from tsc_jax.method import Method, Outputs, Sizes, no_progress

Progress = Callable[[int], object]  # receives numbers of snippets that are done
OfVideo = Mapping[str, np.ndarray]  # the outputs of one video without padding, by name


@dataclasses.dataclass(frozen=True)
class Forward:
    """A forward pass made ready for videos of any length."""

    whole: Callable  # compiled: (variables, features [B, T, D], mask [B, T]) -> Outputs
    # (variables, features [T, D], chunk, progress) -> Outputs [1, ...] of one video; None: no video is cut
    chunked: Callable | None


@dataclasses.dataclass(frozen=True)
class Inference(Forward):
    """The forward pass of a method, and the method, which reads segments from its outputs."""

    method: Method


def make_inference(config, sizes: Sizes) -> Inference:
    """The inference of the method that `config` names; nothing is compiled yet."""
    method, chunks = methods.make(config, sizes), methods.part(config.method, "chunks")
    chunked = chunks and refine.refined_chunks(chunks.make(config, sizes), config)
    return Inference(jax.jit(method.forward), chunked, method)


@dataclasses.dataclass(frozen=True)
class Look:
    """What a refresh sees: the training split, through functions of its own."""

    split: Split  # the videos that are trained on
    seed: int  # of the run
    batch_snippets: int  # padded snippets of a batch on one device, at most
    bases: Sequence[Any] = ()  # the `Trained` runs on which a stage stands, at step 0 (see `training.base`)

    def run(self, function: Callable, variables) -> list[OfVideo]:
        """The outputs of `function` for every training video, in the order of the split, in every process.

        Args:
          function: variables, features [B, T, D], mask [B, T] -> Outputs.
          variables: its first argument.
        """
        everything = np.arange(len(self.split.videos))
        forward = Forward(jax.jit(function), None)
        outputs = infer_everywhere(forward, variables, self.split, everything, self.batch_snippets)
        return [outputs[index] for index in everything]


def infer_everywhere(
    forward: Forward, variables, split: Split, indices: np.ndarray, batch_snippets: int, title: str | None = None
) -> dict[int, OfVideo]:
    """The outputs of the videos at `indices`; processes share the work, and each gets the outputs of all.

    The arguments are those of `infer`; `title` is that of a progress bar on a terminal, None shows none.
    """
    mine = processes.share(indices)
    quiet = True if title is None else None  # None: a bar on a terminal only
    total = sum(split.videos[index].num_snippets for index in mine)
    with tqdm.tqdm(desc=title, total=total, unit="snippet", unit_scale=True, disable=quiet) as bar:
        return processes.gather(dict(infer(forward, variables, split, mine, batch_snippets, bar.update)))


def infer(
    forward: Forward,
    variables,
    split: Split,
    indices: np.ndarray,
    batch_snippets: int,
    progress: Progress = no_progress,
) -> Iterator[tuple[int, OfVideo]]:
    """Index and outputs of every video at `indices`, by rising padded length.

    A batch has at most `batch_snippets` padded snippets on one device;
    longer videos go in chunks of as many. Calls `progress` with numbers of snippets that are done.
    """
    lengths = np.array([split.videos[index].num_snippets for index in indices])
    long = indices[lengths > batch_snippets] if forward.chunked else indices[:0]
    short, devices = np.setdiff1d(indices, long), jax.local_devices()
    over_devices = jax.sharding.NamedSharding(
        jax.sharding.Mesh(devices, "videos"), jax.sharding.PartitionSpec("videos")
    )
    everywhere = jax.sharding.NamedSharding(over_devices.mesh, jax.sharding.PartitionSpec())
    variables = jax.device_put(variables, everywhere)

    def fetch(chosen: np.ndarray, outputs: Outputs) -> Iterator[tuple[int, OfVideo]]:
        outputs = jax.device_get(outputs)
        for row, index in enumerate(chosen):
            progress(split.videos[index].num_snippets)
            yield int(index), of_video(outputs, row, split.videos[index].num_snippets)

    dispatched = collections.deque()
    for chosen, *batch in padded_batches(split, short, batch_snippets, len(devices)) if len(short) else ():
        dispatched.append((chosen, forward.whole(variables, *jax.device_put(batch, over_devices))))
        if len(dispatched) > 1:
            yield from fetch(*dispatched.popleft())
    for each in dispatched:
        yield from fetch(*each)
    for index in long:
        outputs = forward.chunked(variables, split.features(index), batch_snippets, progress)
        yield int(index), of_video(outputs, 0, split.videos[index].num_snippets)


def of_video(outputs: Outputs, row: int, length: int) -> OfVideo:
    """The outputs of the video in `row` of a batch, cut to its `length` in snippets."""
    of_snippets = {name: array[row, :length] for name, array in outputs.snippets.items()}
    return of_snippets | {name: array[row] for name, array in outputs.videos.items()}


def padded_batches(
    split: Split, indices: np.ndarray, batch_snippets: int, devices: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches of whole videos: indices [b], features float32 [B, T, D] and mask bool [B, T], read ahead by threads.

    B is a multiple of `devices` and the same for all batches with one T. Each device gets at most
    `batch_snippets` // T videos, but at least 1. b <= B; the rows after b are empty videos.
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
        return chosen, *pad([split.features(index) for index in chosen], rows, length)

    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    return iter(grain.MapDataset.source(plan).map(load).to_iter_dataset(ahead))


def pad(videos: list[np.ndarray], rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Videos [T_i, D] -> features float32 [rows, length, D] and mask bool [rows, length]."""
    features = np.zeros((rows, length, videos[0].shape[1]), np.float32)
    mask = np.zeros((rows, length), bool)
    for row, video in enumerate(videos):
        features[row, : len(video)] = video
        mask[row, : len(video)] = True
    return features, mask
