"""How long to wait before the next try of what failed: longer each time, never all at once."""

import random
from collections.abc import Callable


class Backoff:
    """Capped exponential backoff with jitter.

    The pause doubles from `first` to `longest`; what is waited is a random half to whole of it, so
    that a hundred cameras that a switch cut off at once do not come back at once, and none comes
    back sooner than half of what it was meant to wait ("equal jitter" in M. Brooker, "Exponential
    Backoff And Jitter", 2015).

    Args:
        first: Seconds, before jitter, of the first pause; above 0.
        longest: Seconds, before jitter, that no pause exceeds; at least `first`.
        random: Returns random numbers, 0..1.
    """

    def __init__(
        self,
        first: float = 0.5,
        longest: float = 30.0,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self._pause = first

    def next(self) -> float:
        """Return how many seconds to wait now; the next answer is about twice as long."""
        pause = self._pause
        self._pause = min(2 * pause, self._longest)
        return pause * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        """Begin anew with the first pause: what failed has worked."""
        self._pause = self._first
