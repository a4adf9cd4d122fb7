"""How snippets lie in time."""

from typing import NamedTuple

import numpy as np


class Clock(NamedTuple):
    """Snippet t of a video lasts from offset + t / rate to offset + (t + 1) / rate seconds."""

    rate: float | np.ndarray  # snippets per second; of all videos, or [V], of each
    offset: float | np.ndarray = 0.0  # seconds; of all videos, or [V], of each

    def of(self, video: np.ndarray) -> "Clock":
        """Returns the clock of each of N times, in the videos with the indices `video` [N]."""
        return Clock(*(np.asarray(each)[video] if np.ndim(each) else each for each in self))

    def seconds(self, snippets: np.ndarray) -> np.ndarray:
        """Returns in seconds what is given in snippets."""
        return snippets * (1 / self.rate) + self.offset

    def snippets(self, seconds: np.ndarray) -> np.ndarray:
        """Returns in snippets what is given in seconds."""
        return (seconds - self.offset) * self.rate
