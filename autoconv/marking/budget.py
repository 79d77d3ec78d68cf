"""How long a verdict may take: what it asks of the functions beside their answers, and a search for a repair."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

FREE = 0.5  # seconds of processor time for names that the search does not lack


class Shared:
    """Seconds for several tasks together: a function that is slow is not waited for again and again."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def spent(self) -> Iterator[float]:
        """What is left, for one task; how long that takes is taken off."""
        started = time.monotonic()
        try:
            yield self.left
        finally:
            self.left -= time.monotonic() - started


class Budget:
    """Seconds of processor time for naming and repairing together, counted from when it is made: where naming the
    mistake has taken long, the source is searched for less."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.started = seconds, time.thread_time()

    @property
    def left(self) -> float:
        """What is left for the search: at least half of it, whatever the names have taken."""
        left = self.seconds + FREE - (time.thread_time() - self.started)
        return max(self.seconds / 2, min(self.seconds, left))
