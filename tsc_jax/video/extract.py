"""Raw video -> snippet features.

One feature [1024] for each 16 frames at 25 a second; what is left at the end, fewer than 16, is dropped. RGB only, and
not the numbers of the public THUMOS or ActivityNet archives: a model is trained and used with the same extractor.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from tsc_jax.errors import InputError
from tsc_jax.video import i3d, weights
from tsc_jax.video.decode import FRAMES_PER_SECOND, load_decoder, read_frames

SNIPPET = 16
SNIPPETS_PER_SECOND = FRAMES_PER_SECOND / SNIPPET
WIDTH = i3d.WIDTH

Extractor = Callable[..., np.ndarray]


def make_extractor(dtype: str = "float32", batch_size: int | None = None) -> Extractor:
    """Reads the weights, once, and gives the function that turns videos into features.

    Args:
      dtype: of weights and activations, float32 or bfloat16; sums are float32 with either.
      batch_size: snippets computed at once; None is 1 on processors, which gain nothing by more, and 8 elsewhere.

    Returns:
      A function (path, progress=None) -> features [T, 1024] float32. `progress` is called with the number of snippets
      that were added. It raises InputError where the path is no video, or holds less than a snippet.

    Raises:
      InputError: the packages of requirements-video.txt are not there.
    """
    load_decoder()
    params = i3d.fold(weights.load_variables(), dtype)
    size = batch_size or (1 if jax.default_backend() == "cpu" else 8)
    return functools.partial(_extract, functools.partial(jax.jit(i3d.features), params), size)


def _extract(
    network: Callable[[np.ndarray], jax.Array],
    size: int,
    path: Path,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    snippets, done, running = _snippets(path), [], None
    while batch := list(itertools.islice(snippets, size)):
        padded = np.zeros((size, *batch[0].shape), np.uint8)
        padded[: len(batch)] = batch
        # The next batch is decoded while this one is computed.
        running, before = (network(padded), len(batch)), running
        _collect(before, done, progress)
    _collect(running, done, progress)
    return np.concatenate(done)


def _collect(
    running: tuple[jax.Array, int] | None, done: list[np.ndarray], progress: Callable[[int], None] | None
) -> None:
    if running is not None:
        features, number = running
        done.append(np.asarray(features)[:number])
        if progress is not None:
            progress(number)


def _snippets(path: Path) -> Iterator[np.ndarray]:
    """[16, 224, 224, 3] uint8 each."""
    frames, number = read_frames(path), 0
    while True:
        snippet = list(itertools.islice(frames, SNIPPET))
        if len(snippet) < SNIPPET:
            break
        number += 1
        yield np.stack(snippet)
    if number == 0:
        found = f"lasts {len(snippet) / FRAMES_PER_SECOND:g} s" if snippet else "holds no frame"
        raise InputError(f"{path}: {found}, but a snippet is {SNIPPET} frames at {FRAMES_PER_SECOND} a second")
