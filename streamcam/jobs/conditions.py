"""Logs a lasting condition once at its start and once at its end."""

from collections.abc import Callable, Hashable


class OngoingConditions:
    """The conditions that last at the moment.

    Args:
        log: Takes the lines.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._end_texts: dict[Hashable, str] = {}

    def begin(self, key: Hashable, text: str, end_text: str) -> None:
        """Log that a condition holds, unless that was logged; `end_text` is for its end."""
        if key not in self._end_texts:
            self._log(text)
        self._end_texts[key] = end_text

    def end(self, key: Hashable) -> None:
        """Log that a condition is over, if it held."""
        text = self._end_texts.pop(key, None)
        if text is not None:
            self._log(text)

    def end_others(self, kind: str, ongoing: set[Hashable]) -> None:
        """End the conditions with a key `(kind, ...)` that is not among these."""
        for key in list(self._end_texts):
            if isinstance(key, tuple) and key[0] == kind and key not in ongoing:
                self.end(key)
