"""Tracks with a finer resolution, for thresholds that cut them between snippets."""

import numpy as np


def upsampled(tracks: np.ndarray, factor: int) -> np.ndarray:
    """Interpolates tracks [T, C] linearly to `factor` values per snippet: [factor T, C].

    Snippet t stands for the time from t to t + 1 and its value for the middle, t + 1/2. Value j of the result stands
    for the time from j / factor to (j + 1) / factor and is taken in the middle of it. Before the middle of the first
    snippet and after that of the last one, the track is constant. Segments of the result are in units of 1 / factor
    snippets: `Segments.scaled(1 / factor)` turns them into snippets.
    """
    if factor == 1:
        return tracks
    middles = np.arange(len(tracks)) + 0.5
    wanted = (np.arange(factor * len(tracks)) + 0.5) / factor
    return np.stack([np.interp(wanted, middles, track) for track in tracks.T], axis=1)
