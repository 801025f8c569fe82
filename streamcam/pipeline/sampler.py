"""Which frames of a source are explained."""

import math

# Containers round timestamps, Matroska to whole milliseconds: a frame that is early by less than
# that is the frame that was meant.
_TOLERANCE = 1e-3


class Sampler:
    """Selects frames by their timestamps, or by their number.

    By timestamps, wanted frames lie on a grid of `1 / max_fps` seconds: the first frame at or after
    each grid point. The grid does not drift, so the mean rate holds for every frame rate, constant
    or variable, and a frame stands for at most one grid point.

    Args:
        max_fps: Explained frames per second of the source's own time; ignored with `every`.
        every: Explain every n-th frame instead.
        start: Seconds from the source's first frame before which nothing is explained.
        end: Seconds from the source's first frame from which on nothing is explained.
    """

    def __init__(
        self,
        *,
        max_fps: float = 5.0,
        every: int | None = None,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        self._period = 1.0 / max_fps
        self._every = every
        self._start = start
        self._end = math.inf if end is None else end
        self._point = 0
        self._next_due = start

    @property
    def start(self) -> float:
        """Seconds before which no frame is wanted."""
        return self._start

    @property
    def next_due(self) -> float:
        """Seconds before which the next frame will not be wanted; `inf` after the end."""
        return self._next_due - _TOLERANCE

    def wants(self, index: int, time: float) -> bool:
        """Tell whether the frame is to be explained, and move on."""
        if time >= self._end:
            self._next_due = math.inf
        if time < self.next_due:
            return False
        if self._every is not None:
            return index % self._every == 0
        latest = math.floor((time + _TOLERANCE - self._start) / self._period)
        self._point = max(self._point, latest) + 1
        self._next_due = self._start + self._point * self._period
        return True
