"""A live source's own time: as even as its timestamps, and never far from the clock on the wall."""

from fractions import Fraction

# Clocks of cameras are off by up to 100 ppm, 9 s a day: the difference is worked off by so much of
# each step, which no eye sees.
_SLEW = 0.02

# Networks and decoders hold frames back for a second or two. Beyond that the timestamps have jumped
# (a camera that set its clock, RTP's wrap) and say nothing.
_TOLERANCE = 5.0

_LEAST_STEP = 1e-3


class LiveTimeline:
    """Gives the frames of one connection their seconds since the source's first frame.

    Args:
        time_base: Seconds per tick.
        origin: Monotonic seconds of the source's first frame, None where this one begins it.
    """

    def __init__(self, time_base: Fraction, origin: float | None) -> None:
        self._time_base = float(time_base)
        self.origin = origin
        self._time: float | None = None
        self._pts: int | None = None

    def due(self, pts: int | None) -> float | None:
        """Return the monotonic seconds at which a frame belongs; None where nothing tells."""
        step = self._step(pts)
        if step is None or self._time is None or self.origin is None:
            return None
        return self.origin + self._time + step

    def placed(self, pts: int | None, arrival: float) -> float:
        """Return the next frame's time in seconds, greater than the one before it.

        Args:
            pts: The frame's timestamp, None where it has none that means something.
            arrival: Monotonic seconds when its data came in.
        """
        if self.origin is None:
            self.origin = arrival
        if self._time is None:
            self._time = arrival - self.origin
        else:
            self._time += max(_LEAST_STEP, self._advance(pts, arrival - self.origin - self._time))
        self._pts = pts
        return self._time

    def _advance(self, pts: int | None, elapsed: float) -> float:
        step = self._step(pts)
        if step is None or not abs(elapsed - step) < _TOLERANCE:
            return elapsed
        return step * (1 + _SLEW * (elapsed - step) / _TOLERANCE)

    def _step(self, pts: int | None) -> float | None:
        if pts is None or self._pts is None:
            return None
        step = (pts - self._pts) * self._time_base
        return step if step > 0 else None
