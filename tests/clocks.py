"""A clock that stands still until a test moves it."""

from streamcam.clock import Clock


class ManualClock(Clock):
    """Shows the time that it is set to.

    Attributes:
        now: Monotonic seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now
