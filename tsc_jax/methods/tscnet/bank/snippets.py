"""The training snippets that a bank is fitted on, in chunks of videos, as often as they are wanted."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np

from tsc_jax import processes
from tsc_jax.data.dataset import Split

CHUNK_BYTES = 2**27  # of float32 snippets that are on the devices at a time
HELD_BYTES = 2**30  # of snippets that are read once and held; more are read in every pass
START_SNIPPETS = 2**16  # that the start of a fit looks at, at most


def draw_snippets(features: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """`number` snippets of one video [T, D]: one from each of as many equal spans, or interpolated if T is less."""
    length = len(features)
    if length < number:
        places = np.linspace(0, length - 1, number)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (places - below)[:, None].astype(np.float32)
        return (1 - share) * features[below] + share * features[above]
    edges = np.arange(number + 1) * length // number
    return features[rng.integers(edges[:-1], edges[1:])]


@dataclasses.dataclass(frozen=True)
class Snippets:
    """Snippets to fit on.

    Attributes:
      total: their number, over all processes.
      start: float32 [S, D], some of them, the same in every process: those of videos evenly spread over the split.
      chunks: every call gives this process's, one after the other: snippets [n, D], the same n for all, and which of
        them are real, bool [n].
    """

    total: int
    start: np.ndarray
    chunks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


def of_array(snippets: np.ndarray, chunk: int) -> Snippets:
    """The snippets [S, D] of an array, `chunk` at a time."""
    places = np.arange(0, len(snippets), chunk)
    return Snippets(len(snippets), snippets, lambda: (pad(snippets[i : i + chunk], chunk) for i in places))


def of_split(split: Split, per_video: int, seed: int) -> Snippets:
    """`per_video` snippets of every video of a split, drawn by `seed`; each process reads its share of the videos."""

    def draw(index: int) -> np.ndarray:
        return draw_snippets(split.features(index), per_video, np.random.default_rng([seed, index]))

    videos, width = len(split.videos), draw(0).shape[1]
    mine, video_bytes = processes.share(np.arange(videos)), 4 * per_video * width
    together = min(max(1, CHUNK_BYTES // video_bytes), max(1, len(mine)))
    # A process without videos has one chunk without snippets.
    groups = [mine[first : first + together] for first in range(0, max(1, len(mine)), together)]
    nothing = np.zeros((0, width), np.float32)

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (pad(np.concatenate([nothing, *map(draw, group)]), together * per_video) for group in groups)

    held = list(read()) if len(mine) * video_bytes <= HELD_BYTES else None
    seen = np.unique(np.linspace(0, videos - 1, max(1, min(videos, START_SNIPPETS // per_video))).astype(int))
    start = np.concatenate([draw(index) for index in seen])
    return Snippets(videos * per_video, start, read if held is None else lambda: iter(held))


def pad(snippets: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Snippets [n, D] with zeros up to `rows`, rounded up to a multiple of the local devices, and which are real."""
    rows += -rows % jax.local_device_count()
    padded = np.zeros((rows, snippets.shape[1]), np.float32)
    padded[: len(snippets)] = snippets
    return padded, np.arange(rows) < len(snippets)
