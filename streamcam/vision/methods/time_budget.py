"""How much time explaining boxes may take from live sources: their ordinary frames come first."""

import logging
import math

from streamcam.clock import Clock
from streamcam.types import Frame

_log = logging.getLogger(__name__)

# Seconds per second that go to the boxes of live sources, all together. A quarter leaves the rate
# of ordinary frames at three quarters of what it was, and live lanes drop what that cannot carry.
SHARE = 0.25

# A pass that takes longer would be seen as a stutter of the live picture, however rare it is.
LONGEST = 0.25

# The first passes on a device are slow, so it is the quickest of so many that decides.
_TRIALS = 3


class TimeBudget:
    """Decides when there is time for the boxes of live sources; files always have time.

    After a pass that took a second, the next one is due three seconds later. A method whose passes
    are too long altogether is given up for live sources, and said once.

    Args:
        method: For the message.
        clock: Where the time comes from.
    """

    def __init__(self, method: str, clock: Clock | None = None) -> None:
        self._method = method
        self._clock = clock or Clock()
        self._next = -math.inf
        self._begun = 0.0
        self._costs: list[float] = []
        self._too_slow = False

    def allows(self, frame: Frame) -> bool:
        """Whether a frame's boxes may be explained now."""
        if frame.time_utc is None:
            return True
        return not self._too_slow and self._clock.monotonic() >= self._next

    def begin(self) -> None:
        """A pass begins."""
        self._begun = self._clock.monotonic()

    def end(self, frames: int) -> None:
        """The pass over so many frames is over."""
        now = self._clock.monotonic()
        self._next = now + (now - self._begun) * (1 / SHARE - 1)
        if len(self._costs) < _TRIALS:
            self._costs.append((now - self._begun) / frames)
            self._judge()

    def _judge(self) -> None:
        if len(self._costs) == _TRIALS and min(self._costs) > LONGEST:
            self._too_slow = True
            _log.warning(
                "%s takes %.1f s a frame here: too long for live sources, whose maps stay EigenCAM",
                self._method,
                min(self._costs),
            )
