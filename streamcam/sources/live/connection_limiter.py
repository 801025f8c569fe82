"""Paces the connections of all live sources of a process: a few at a time, in order."""

import math
import os
import threading
from collections import deque
from collections.abc import Callable

from streamcam.clock import Clock

# Until FFmpeg knows what a 1080p stream holds takes 0.1 s of CPU time and 0.8 s of waiting.
_CONNECTIONS_PER_CORE = 4

# Of 64 dead cameras, each tried again every 22 s on average, 6 are being waited for at a time: two
# cores still have turns for those that answer.
_HOLD_SECONDS = 2.0


class ConnectionLimiter:
    """Limits how many live sources connect at once: each in time, however many begin together.

    A source has its turn from `acquire` to `release`, but once its reader has `started` for `hold`
    seconds at most, so that dead cameras do not keep the others waiting. For any thread.

    Args:
        limit: Number of turns at once; by default four for each core.
        hold: Seconds.
    """

    def __init__(
        self, limit: int | None = None, hold: float = _HOLD_SECONDS, clock: Clock | None = None
    ) -> None:
        self._limit = limit or _CONNECTIONS_PER_CORE * len(os.sched_getaffinity(0))
        self._hold = hold
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._expiries: dict[object, float] = {}

    def acquire(self, source: object, cancelled: Callable[[], bool]) -> bool:
        """Wait for a source's turn; return False once it is cancelled, which `wake` makes seen."""
        with self._changed:
            self._waiting.append(source)
            try:
                while not cancelled():
                    first = self._waiting[0] is source
                    pause = self._seconds_until_free() if first else math.inf
                    if pause == 0:
                        self._expiries[source] = math.inf
                        return True
                    self._changed.wait(None if pause == math.inf else pause)
            finally:
                self._waiting.remove(source)
                self._changed.notify_all()
        return False

    def started(self, source: object) -> None:
        """Let a source's turn end `hold` seconds from now."""
        with self._changed:
            self._expiries[source] = self._clock.monotonic() + self._hold
            self._changed.notify_all()

    def release(self, source: object) -> None:
        """End a source's turn, if it still has one."""
        with self._changed:
            self._expiries.pop(source, None)
            self._changed.notify_all()

    def wake(self) -> None:
        """Make those that wait ask again whether they are cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _seconds_until_free(self) -> float:
        now = self._clock.monotonic()
        self._expiries = {s: moment for s, moment in self._expiries.items() if moment > now}
        if len(self._expiries) < self._limit:
            return 0.0
        return min(self._expiries.values()) - now
