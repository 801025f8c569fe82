"""How often what fails may begin anew."""

from collections import deque

from streamcam.clock import Clock

# A fault that comes back within seconds is there to stay; one a day is bad luck.
_MOST = 5
_WINDOW_SECONDS = 600.0


class RestartLimit:
    """Bounds the restarts of one worker within a window of time.

    Args:
        clock: Where the time comes from.
        most: Restarts that are allowed in a window.
        window: Its length, in seconds.
    """

    def __init__(self, clock: Clock, most: int = _MOST, window: float = _WINDOW_SECONDS) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._moments: deque[float] = deque()

    def allow(self) -> bool:
        """Tell whether there may be another one now, and count it."""
        now = self._clock.monotonic()
        while self._moments and now - self._moments[0] > self._window:
            self._moments.popleft()
        if len(self._moments) >= self._most:
            return False
        self._moments.append(now)
        return True
