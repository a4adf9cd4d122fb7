"""Which videos and which of their snippets a training batch shows."""

import numpy as np


def sample_videos(labels: np.ndarray, batch_size: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Indices [B] of the videos of a batch, pairs first, from the labels bool [V, C] of all videos.

    A pair is two different videos of a class that is drawn uniformly; the rest is drawn uniformly with
    replacement (published).
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


def sample_subset(length: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `number` different snippets in the order of time, or of all where there are fewer (GRN)."""
    return np.sort(rng.choice(length, number, replace=False)) if length > number else np.arange(length)


def sample_spans(length: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Indices [number], one from each of as many equal spans; a shorter video gives draws with replacement."""
    if length < number:
        return np.sort(rng.integers(length, size=number))
    bounds = np.arange(number + 1) * length // number
    return rng.integers(bounds[:-1], bounds[1:])


def sample_crop(length: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `number` consecutive snippets from a random one on, or of all where there are fewer."""
    return rng.integers(max(0, length - number) + 1) + np.arange(min(length, number))


SAMPLING = {
    "all": lambda length, *_: np.arange(length),
    "subset": sample_subset,
    "spans": sample_spans,
    "crop": sample_crop,
}


def epoch_and_place(step, order, batch_size: int, videos: int):
    """The epoch, from 0, of the video in place `order` of the batch of `step`, and its place in that epoch.

    Batches run on: the videos of all epochs stand in one row, of which each step takes the next `batch_size`.
    """
    return divmod(step * batch_size + order, videos)


def steps_within(epochs: int, batch_size: int, videos: int) -> int:
    """Number of whole steps that `epochs` epochs fill; what is left over belongs to the step after them."""
    return epochs * videos // batch_size


def videos_of_step(videos: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Indices [B] of the videos of one step under "epochs"."""
    epochs, places = epoch_and_place(step, np.arange(batch_size), batch_size, videos)
    orders = {epoch: np.random.default_rng([seed, epoch]).permutation(videos) for epoch in set(epochs.tolist())}
    return np.array([orders[epoch][place] for epoch, place in zip(epochs.tolist(), places.tolist(), strict=True)])
