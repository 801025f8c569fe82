"""Selectors for tests of sources."""

from math import inf


class Everything:
    """Wants every frame since a start, and remembers what it was asked."""

    def __init__(self, start: float = 0.0) -> None:
        self.start = start
        self.next_due = -inf
        self.asked: list[tuple[int, float]] = []

    def wants(self, index: int, time: float) -> bool:
        self.asked.append((index, time))
        return True


class Periodic(Everything):
    """Wants one frame per period, until an end."""

    def __init__(self, period: float, start: float = 0.0, end: float = inf) -> None:
        super().__init__(start)
        self._period = period
        self._end = end
        self._point = 0
        self.next_due = start

    def wants(self, index: int, time: float) -> bool:
        self.asked.append((index, time))
        if time >= self._end:
            self.next_due = inf
            return False
        if time < self.next_due:
            return False
        self._point += 1
        self.next_due = self.start + self._point * self._period - 1e-6
        return True
