"""What ends or saves a run between its regular saves: a notice of preemption, and the clock."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils


@contextlib.contextmanager
def preemption_notice() -> Iterator[Callable[[int], bool]]:
    """A function of the step that tells whether SIGTERM has come; all processes hear it at the same step."""
    if jax.process_count() > 1:
        yield multihost_utils.reached_preemption_sync_point
        return
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append(True))
    try:
        yield lambda step: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


class SaveClock:
    """Tells when `minutes` have passed since the last save; process 0's clock holds for all."""

    def __init__(self, minutes: float):
        self.seconds, self.saved = 60 * minutes, time.monotonic()

    def due(self) -> bool:
        """Whether it is time; every process must ask at the same step."""
        passed = time.monotonic() - self.saved >= self.seconds
        if jax.process_count() > 1:
            passed = bool(multihost_utils.broadcast_one_to_all(np.array(passed)))
        return passed

    def reset(self) -> None:
        """To be called at every save."""
        self.saved = time.monotonic()
