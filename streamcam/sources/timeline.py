"""Presentation times that only ever grow, whatever the file says."""

from fractions import Fraction


class Timeline:
    """Repairs the presentation times of one stream, frame by frame.

    Times that are missing follow at the stream's rate; those that stand still move on by one tick;
    after a jump back by more than a second (a joined recording) the clock goes on from where it
    was.

    Args:
        time_base: Seconds per tick.
        rate: Frames per second, None where unknown.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._second = max(1, round(1 / time_base))
        self._step = max(1, round(1 / (rate * time_base))) if rate else 1
        self._offset = 0
        self._last: int | None = None

    @property
    def shifted(self) -> bool:
        """Whether the times given out differ from the file's for good."""
        return self._offset != 0

    def placed(self, pts: int | None) -> int:
        """Return the next frame's time in ticks, greater than the one before."""
        self._last = self._next(pts)
        return self._last

    def _next(self, pts: int | None) -> int:
        if self._last is None:
            return pts or 0
        if pts is None:
            return self._last + self._step
        if self._last - (pts + self._offset) > self._second:
            self._offset = self._last + self._step - pts
        return max(pts + self._offset, self._last + 1)
