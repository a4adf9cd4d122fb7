"""Preemption and the clock: the reasons to save between the regular saves."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import jax
from jax.experimental import multihost_utils

from tsc_jax import processes


@contextlib.contextmanager
def preemption_notice() -> Iterator[Callable[[int], bool]]:
    """A function of the step that tells whether SIGTERM has come; all processes learn it at the same step.

    Only the main thread of a process can receive signals: in another thread no SIGTERM is noticed.
    """
    if jax.process_count() > 1:
        yield multihost_utils.reached_preemption_sync_point
        return
    if threading.current_thread() is not threading.main_thread():
        yield lambda step: False
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
        return bool(processes.from_first(passed))

    def reset(self) -> None:
        """To be called at every save."""
        self.saved = time.monotonic()
