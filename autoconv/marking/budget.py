"""How long the source is searched for a repair: shorter where naming the mistake has taken long."""

from __future__ import annotations

import time

FREE = 0.5  # seconds of processor time for names that the search does not lack


class Budget:
    """Seconds of processor time for naming and repairing together, counted from when it is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.started = seconds, time.thread_time()

    @property
    def left(self) -> float:
        """What is left for the search: at least half of it, whatever the names have taken."""
        left = self.seconds + FREE - (time.thread_time() - self.started)
        return max(self.seconds / 2, min(self.seconds, left))
