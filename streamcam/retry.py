"""Retries: exponential backoff, a limit on restarts, calls that are repeated."""

import random
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from streamcam.clock import Clock

_T = TypeVar("_T")

# A fault that recurs within seconds persists; one a day is an accident.
_RESTARTS = 5
_WINDOW_SECONDS = 600.0


class Backoff:
    """Capped exponential backoff with jitter.

    The pause doubles from `first` to `longest`, and a random half to whole of it is waited, so that
    a hundred cameras that a switch cut off at once do not reconnect at once, and none sooner than
    after half its pause ("equal jitter" in M. Brooker, "Exponential Backoff And Jitter", 2015).

    Args:
        first: Seconds, before jitter, of the first pause; above 0.
        longest: Seconds, before jitter, that no pause exceeds; at least `first`.
        random: Returns random numbers, 0..1.
    """

    def __init__(
        self, first: float = 0.5, longest: float = 30.0, random: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self._pause = first

    def next(self) -> float:
        """Return the seconds to wait now, and double the next pause."""
        pause = self._pause
        self._pause = min(2 * pause, self._longest)
        return pause * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        self._pause = self._first


class RestartLimit:
    """Allows a worker `limit` restarts within a sliding window, in seconds."""

    def __init__(
        self, clock: Clock, limit: int = _RESTARTS, window: float = _WINDOW_SECONDS
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window
        self._times: deque[float] = deque()

    def allow(self) -> bool:
        now = self._clock.monotonic()
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True


def retry(
    call: Callable[[], _T],
    is_transient: Callable[[Exception], bool],
    attempts: int,
    backoff: Backoff,
) -> _T:
    """Return the result of a call, repeated while it fails with transient errors.

    Raises:
        Exception: That of the last attempt, or the first that is not transient.
    """
    for _ in range(attempts - 1):
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
        time.sleep(backoff.next())
    return call()
