"""Says what lasts when it begins and when it ends, not all the time between."""

from collections.abc import Callable, Hashable

Say = Callable[[str], None]
"""Takes a line for people."""


class OngoingConditions:
    """Conditions that last, each said once.

    Args:
        say: Takes the lines.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._lasting: dict[Hashable, str] = {}

    def begin(self, key: Hashable, text: str, end: str) -> None:
        """Say that a condition holds, unless that was said; `end` is for when it is over."""
        if key not in self._lasting:
            self._say(text)
        self._lasting[key] = end

    def end(self, key: Hashable) -> None:
        """Say that a condition is over, if it held."""
        end = self._lasting.pop(key, None)
        if end is not None:
            self._say(end)

    def end_others(self, kind: str, kept: set[Hashable]) -> None:
        """End the conditions `(kind, ...)` that are not among these."""
        for key in [k for k in self._lasting if isinstance(k, tuple) and k[0] == kind]:
            if key not in kept:
                self.end(key)
