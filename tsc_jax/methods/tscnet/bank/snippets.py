"""The training snippets that a bank is fitted on."""

import numpy as np

from tsc_jax.data.dataset import Split

LIMIT = 100_000  # snippets to fit on, at most


def numbers(videos: int, per_video: int) -> tuple[int, int]:
    """How many videos are drawn from, and how many snippets of each.

    All videos and `per_video` snippets of each, if LIMIT allows. Otherwise fewer snippets per video, the same number of
    each, and with more than LIMIT videos one snippet from each of LIMIT videos, evenly spaced.
    """
    videos = min(videos, LIMIT)
    return videos, min(per_video, LIMIT // videos)


def of_split(split: Split, per_video: int, seed: int) -> np.ndarray:
    """Draws snippets of the videos of a split by `seed`, as many as `numbers` says: float32 [S, D]."""
    videos, per_video = numbers(len(split.videos), per_video)
    indices = np.arange(videos) * len(split.videos) // videos
    drawn = (draw_snippets(split.features(i), per_video, np.random.default_rng([seed, i])) for i in indices)
    return np.concatenate(list(drawn), dtype=np.float32)


def draw_snippets(features: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `number` snippets of one video [T, D]: one from each of as many equal spans, interpolated if T is less."""
    length = len(features)
    if length < number:
        places = np.linspace(0, length - 1, number)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (places - below)[:, None].astype(np.float32)
        return (1 - share) * features[below] + share * features[above]
    edges = np.arange(number + 1) * length // number
    return features[rng.integers(edges[:-1], edges[1:])]
