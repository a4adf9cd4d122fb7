"""Training batches, each a pure function of (seed, step) and the number of devices.

The content of the global batch does not depend on the number of devices, except for empty rows at its end; only the
way in which its videos are dealt to devices does.

`config.train.batches` says how videos are drawn:

"pairs"   videos are drawn with replacement, some in pairs that share a class, and resampled to T snippets
"epochs"  every video once per epoch, in a new random order; batches run on across the ends of epochs

`config.train.sampling` says which snippets of a video "epochs" takes; videos are padded to a few lengths:

"all"     all of them
"subset"  at most `config.train.snippets` different ones, drawn at random, in the order of time (GRN)
"crop"    `config.train.snippets` consecutive ones from a random one on; a shorter video gives all
"spans"   one from each of `config.train.snippets` equal spans; a shorter video repeats some (ACM-Net)
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import grain
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.data.dataset import Split
from tsc_jax.data.lengths import padded_lengths
from tsc_jax.data.sampling import SAMPLING, sample_snippets, sample_videos, videos_of_step
from tsc_jax.errors import InputError

BATCHES = ("pairs", "epochs")

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Deal:
    """How the rows of a global batch are dealt to devices, so that no pair is torn apart."""

    order: np.ndarray  # int [devices, B / devices], places in the global batch, whose first rows are the pairs
    paired: np.ndarray  # bool [devices, B / devices // 2], whether rows 2p and 2p + 1 of a device are a pair


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


def deal_batch(train, devices: int) -> Deal:
    """How `devices` share a batch of `config.train`; a batch of an epoch is filled up with empty rows."""
    if train.batches == "pairs":
        return deal(train.batch_size, train.pairs, devices)
    return deal(train.batch_size + -train.batch_size % devices, 0, devices)


def check_batches(train, split: Split, classes: Sequence[str]) -> None:
    """Raises InputError where `config.train` asks for batches that cannot be drawn from the videos of a split."""
    rules.check(
        "train",
        train,
        {
            "batches": rules.one_of(*BATCHES),
            "sampling": rules.one_of(*SAMPLING),
            "batch_size": rules.COUNT,
            "pairs": rules.NOT_NEGATIVE,
            "snippets": rules.COUNT,
        },
    )
    if not train.pairs or train.batches != "pairs":
        return
    counts = np.sum([video.labels for video in split.videos], axis=0)
    alone = [name for name, count in zip(classes, counts, strict=True) if count == 1]
    if alone or not (counts >= 2).any():
        wrong = f"class {alone[0]} has 1 training video" if alone else "no class has 2 training videos"
        raise InputError(
            f"config.train.pairs is {train.pairs}, but {wrong} (config.data.min_snippets leaves out shorter videos,"
            " config.eval.holdout those held out); expected 2 or more of each class, or config.train.pairs=0"
        )


def training_batches(makers: Sequence[Callable[[int], Batch]], first_step: int, steps: int) -> Iterator[Batch]:
    """The batches of steps `first_step` .. `steps` - 1, read ahead by threads.

    There is one of `makers` (see `batch_maker`) for each run; their batches are joined along the first axis.
    """

    def make(step: int) -> Batch:
        return join([maker(step) for maker in makers])

    ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    return iter(grain.MapDataset.range(first_step, steps).map(make).to_iter_dataset(ahead))


def join(batches: Sequence[Batch]) -> Batch:
    """The batches of several runs as one, padded to the longest T among them."""
    if len(batches) == 1:
        return batches[0]
    length = max(batch["mask"].shape[2] for batch in batches)

    def padded(batch: Batch, name: str) -> np.ndarray:
        array, missing = batch[name], length - batch["mask"].shape[2]
        if name not in ("features", "mask", "snippets") or not missing:
            return array
        return np.pad(array, [(0, missing if axis == 2 else 0) for axis in range(array.ndim)])

    return {name: np.concatenate([padded(batch, name) for batch in batches]) for name in batches[0]}


def batch_maker(split: Split, train, seed: int, devices: int, local: slice = slice(None)) -> Callable[[int], Batch]:
    """A function from the step to its batch, of which `devices` share the rows, over all processes together.

    It returns the batch that `method.Method` describes as arrays [devices, B, ...], one share for each of the `local`
    devices.
    """
    dealt = deal_batch(train, devices)
    order, paired = dealt.order[local], dealt.paired[local]
    labels = np.stack([video.labels for video in split.videos])
    lengths = np.array([video.num_snippets for video in split.videos])
    first = np.cumsum(lengths) - lengths
    cut = np.minimum(lengths, train.snippets)
    sampled = {"all": lengths, "subset": cut, "crop": cut}.get(train.sampling, np.full(len(lengths), train.snippets))
    buckets = padded_lengths(sampled)

    def draw_pairs(step: int) -> tuple[np.ndarray, int, Callable]:
        rng = np.random.default_rng([seed, step])
        return sample_videos(labels, train.batch_size, train.pairs, rng), train.snippets, sample_snippets

    def draw_epochs(step: int) -> tuple[np.ndarray, int, Callable]:
        videos = videos_of_step(len(labels), train.batch_size, seed, step)
        return videos, int(buckets[np.searchsorted(buckets, sampled[videos].max())]), SAMPLING[train.sampling]

    def make(step: int) -> Batch:
        videos, length, sample = (draw_pairs if train.batches == "pairs" else draw_epochs)(step)
        videos = np.append(videos, np.full(dealt.order.size - len(videos), -1))[order]
        wholes = {place: split.features(videos[place]) for place in zip(*np.nonzero(videos >= 0), strict=True)}
        width = split.features(0).shape[1] if not wholes else next(iter(wholes.values())).shape[1]
        features = np.zeros((*order.shape, length, width), np.float32)
        mask, snippets = np.zeros((*order.shape, length), bool), np.zeros((*order.shape, length), np.int32)
        for place, whole in wholes.items():
            rng = np.random.default_rng([seed, step, order[place]])
            chosen = sample(lengths[videos[place]], train.snippets, rng)
            # In any mode but "clip" the rows are copied twice.
            np.take(whole, chosen, axis=0, out=features[place][: len(chosen)], mode="clip")
            mask[place][: len(chosen)] = True
            snippets[place][: len(chosen)] = first[videos[place]] + chosen
        return {
            "features": features,
            "mask": mask,
            "labels": labels[videos] & (videos >= 0)[..., None],
            "video": videos.astype(np.int32),
            "order": order.astype(np.int32),
            "snippets": snippets,
            "paired": paired,
        }

    return make
