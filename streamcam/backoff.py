"""How long to pause between attempts at what fails again and again."""

import random
from collections.abc import Callable


class Backoff:
    """Pauses that double up to a bound, each shortened at random.

    Without chance, all that was lost in one moment (a switch, a power cut) would come back in one.

    Args:
        first: Seconds of the first pause at most.
        longest: Seconds of any pause at most.
        chance: Gives numbers within 0..1.
    """

    def __init__(
        self,
        first: float = 0.5,
        longest: float = 30.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self._pause = first

    def next(self) -> float:
        """Return the seconds to pause before the next attempt, half to all of the present bound."""
        pause = self._pause * (0.5 + 0.5 * self._chance())
        self._pause = min(2 * self._pause, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._pause = self._first
