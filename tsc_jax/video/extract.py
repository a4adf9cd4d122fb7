"""Turns a video into snippet features.

One feature [1024] per 16 frames at 25 per second; the remainder of fewer than 16 frames is dropped. RGB only. The
numbers differ from those of the public THUMOS and ActivityNet archives: train and use a model with the same extractor.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.video import i3d, weights
from tsc_jax.video.container import load_decoder
from tsc_jax.video.decode import read_frames, seconds
from tsc_jax.video.inputs import Video
from tsc_jax.video.times import FRAMES_PER_SECOND

SNIPPET = 16
SNIPPETS_PER_SECOND = FRAMES_PER_SECOND / SNIPPET
WIDTH = i3d.WIDTH
DTYPES = ("float32", "bfloat16")
# Change this with every change of the features, so that old and new ones are not mixed.
NAME = "I3D, RGB, Kinetics-400; 16 frames at 25 a second; 224 x 224 of a shorter side of 256"


def account(dtype: str) -> dict[str, str]:
    """Returns what meta.json says of this extractor with a network of type `dtype`."""
    return {"name": NAME, "dtype": dtype, "weights_sha256": weights.SHA256}


def make_extractor(dtype: str = "float32", batch_size: int | None = None) -> Callable[..., np.ndarray]:
    """Loads the weights once and returns the function that turns videos into features.

    Weights and activations are of type `dtype`, float32 or bfloat16; both accumulate in float32. `batch_size` is in
    snippets; None means 1 on CPUs, which gain nothing from more, and 8 elsewhere.

    Returns a function (path, progress) -> features [T, 1024] float32. It calls `progress` with the number of snippets
    of each batch, and raises InputError if the file is not a video or is shorter than a snippet. Raises InputError if
    the packages of requirements-video.txt are not installed.
    """
    load_decoder()
    network = functools.partial(jax.jit(i3d.features), i3d.fold(weights.load_variables(), dtype))
    size = batch_size or (1 if jax.default_backend() == "cpu" else 8)

    def start(batch: list[np.ndarray]) -> tuple[jax.Array, int]:
        padding = np.zeros((size - len(batch), *batch[0].shape), np.uint8)
        return network(np.concatenate([batch, padding])), len(batch)

    def extract(path: Video, progress: Callable[[int], object] = lambda number: None) -> np.ndarray:
        snippets, parts = _snippets(path), []
        started = map(start, iter(lambda: list(itertools.islice(snippets, size)), []))
        # A pair makes the next batch start, so that it is decoded while this one is computed.
        for (features, number), _ in itertools.pairwise(itertools.chain(started, [None])):
            parts.append(np.asarray(features)[:number])
            progress(number)
        return np.concatenate(parts)

    return extract


def expected_snippets(videos: Iterable[Video]) -> int:
    """Returns about how many snippets videos have; 0 for those that cannot be opened, which extraction reports."""
    total = 0.0
    for video in videos:
        with contextlib.suppress(InputError, OSError):
            total += (seconds(video) or 0) * SNIPPETS_PER_SECOND
    return round(total)


def _snippets(path: Video) -> Iterator[np.ndarray]:
    """Yields uint8 [16, 224, 224, 3]."""
    frames, is_empty = read_frames(path), True
    while len(snippet := list(itertools.islice(frames, SNIPPET))) == SNIPPET:
        is_empty = False
        yield np.stack(snippet)
    if is_empty:
        length = f"{len(snippet)} frames at {FRAMES_PER_SECOND} per second"
        raise InputError(f"{path}: has {length}, expected at least {SNIPPET}, one snippet")
