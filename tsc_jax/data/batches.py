"""Training batches, each a pure function of (seed, step) and the number of devices.

The content of the global batch does not depend on the number of devices; only the
order in which its videos are dealt to them does.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import grain
import numpy as np

from tsc_jax.data.dataset import Split
from tsc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Deal:
    """How the videos of a global batch are dealt to devices, so that no pair is torn apart.

    Attributes:
      rows: int [devices, B / devices], places in the global batch, whose first rows are the pairs.
      paired: bool [devices, B / devices // 2], whether a device's rows 2p and 2p + 1 are a pair.
    """

    rows: np.ndarray
    paired: np.ndarray


def deal(batch_size: int, pairs: int, devices: int) -> Deal:
    """Deals pairs first, one to each device in turn, then fills up with the remaining videos.

    Raises:
      InputError: the batch does not divide, or some pair fits on no device.
    """
    if batch_size % devices:
        raise InputError(
            f"config.train.batch_size is {batch_size}, which {devices} devices do not divide;"
            f" expected a multiple of {devices}"
        )
    share = batch_size // devices
    if pairs > devices * (share // 2):
        raise InputError(
            f"config.train.pairs is {pairs}, but {devices} devices with {share} videos each hold at most"
            f" {devices * (share // 2)} whole pairs"
        )
    hands = [[] for _ in range(devices)]
    for pair in range(pairs):
        hands[pair % devices] += [2 * pair, 2 * pair + 1]
    paired = np.array([[2 * slot < len(hand) for slot in range(share // 2)] for hand in hands], bool)
    singles = iter(range(2 * pairs, batch_size))
    for hand in hands:
        hand += [next(singles) for _ in range(share - len(hand))]
    return Deal(np.array(hands), paired.reshape(devices, share // 2))


def sample_videos(labels: np.ndarray, batch_size: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Indices [B] of the videos of a batch, pairs first, from the labels bool [V, C] of all videos.

    A pair is two different videos of a class drawn uniformly; the rest is drawn uniformly with
    replacement (published). Every class needs two videos, which the prepared data set guarantees.
    """
    usable = np.flatnonzero(labels.sum(axis=0) >= 2)
    chosen = [rng.choice(np.flatnonzero(labels[:, rng.choice(usable)]), 2, replace=False) for _ in range(pairs)]
    return np.concatenate([*chosen, rng.integers(len(labels), size=batch_size - 2 * pairs)]).astype(int)


def sample_snippets(length: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Indices [number] of the snippets that stand for a video of `length` snippets (published resampling).

    Between two stride points that fall into different snippets one is drawn, both ends
    included; elsewhere the snippet is that of the point, so short videos repeat snippets.
    """
    points = np.arange(number) * length // number
    next_points = np.append(points[1:], length - 1)
    return rng.integers(points, np.maximum(points, next_points) + 1)


def training_batches(
    makers: Sequence[Callable[[int], dict[str, np.ndarray]]], first_step: int, steps: int
) -> Iterator[dict[str, np.ndarray]]:
    """The batches of steps `first_step` .. `steps` - 1, read ahead by threads.

    A resumed run gets the batches it would have got.

    Args:
      makers: of `batch_maker`, one for each replica that is trained; what they make is joined along the first axis.
      first_step: where to begin.
      steps: where to end.
    """

    def make(step: int) -> dict[str, np.ndarray]:
        made = [maker(step) for maker in makers]
        return {name: np.concatenate([batch[name] for batch in made]) for name in made[0]} if made[1:] else made[0]

    ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    return iter(grain.MapDataset.range(first_step, steps).map(make).to_iter_dataset(ahead))


def batch_maker(
    split: Split, train, seed: int, devices: int, local: slice = slice(None)
) -> Callable[[int], dict[str, np.ndarray]]:
    """A function from the step to its batch.

    Args:
      split: the training videos.
      train: `config.train`.
      seed: of the run.
      devices: that share the global batch, of all processes together.
      local: which of those devices' shares to make.

    Returns:
      step -> features float32 [devices, B, T, D], labels bool [devices, B, C], mask bool [devices, B, T],
      paired bool [devices, B // 2], rows int32 [devices, B], seed int32 [devices], for the local devices, B each
      device's share.
    """
    dealt = deal(train.batch_size, train.pairs, devices)
    labels = np.stack([video.labels for video in split.videos])
    rows = dealt.rows[local]

    def make(step: int) -> dict[str, np.ndarray]:
        videos = sample_videos(labels, train.batch_size, train.pairs, np.random.default_rng([seed, step]))
        wholes = [split.features(videos[row]) for row in rows.flat]
        features = np.empty((*rows.shape, train.snippets, wholes[0].shape[1]), np.float32)
        for place, row, whole in zip(np.ndindex(rows.shape), rows.flat, wholes, strict=True):
            chosen = sample_snippets(len(whole), train.snippets, np.random.default_rng([seed, step, row]))
            # In any mode but "clip" the rows are copied twice.
            np.take(whole, chosen, axis=0, out=features[place], mode="clip")
        return {
            "features": features,
            "labels": labels[videos[rows]],
            "mask": np.ones((*rows.shape, train.snippets), bool),
            "paired": dealt.paired[local],
            "rows": rows.astype(np.int32),
            "seed": np.full(len(rows), seed, np.int32),
        }

    return make
