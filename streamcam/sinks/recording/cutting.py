"""Where the segments of a camera begin and end."""

from dataclasses import dataclass
from typing import NamedTuple

_ROUNDING = 1e-6
"""Seconds by which a frame's time may be off, as a sum of floats, and still count as in time."""


class Place(NamedTuple):
    """What is to be done with a frame.

    Attributes:
        begins: Whether a segment must begin with it.
        wanted: Whether it is recorded; else only as what led to one that is.
        key: Whether a video must be able to begin with it.
    """

    begins: bool
    wanted: bool
    key: bool


@dataclass
class Cutter:
    """Decides upon each frame as it comes.

    Args:
        seconds: After which a new segment begins.
        after_detection: Seconds recorded after a frame with a detection; None to record always.
    """

    seconds: float
    after_detection: float | None

    def __post_init__(self) -> None:
        self._began: float | None = None
        self._found: float | None = None
        self._wanted = False

    def place(self, time: float, *, found: bool, anew: bool) -> Place:
        """Take the next frame.

        Args:
            time: Seconds on the camera's own clock.
            found: Whether something was detected in it.
            anew: Whether it cannot follow the frame before it in one video.
        """
        if found:
            self._found = time
        wanted = self._is_wanted(time)
        begins = anew or self._is_full(time)
        # After what is recorded begins what may lead to the next detection.
        key = begins or (self._wanted and not wanted)
        self._wanted = wanted
        if not wanted:
            self._began = None
        elif begins:
            self._began = time
        return Place(begins, wanted, key)

    def opened(self, time: float) -> None:
        """Take note of a segment that begins with a frame of this time, which came before."""
        if self._began is None or time > self._began:
            self._began = time

    def _is_wanted(self, time: float) -> bool:
        if self.after_detection is None:
            return True
        return self._found is not None and time - self._found <= self.after_detection + _ROUNDING

    def _is_full(self, time: float) -> bool:
        return self._began is not None and time - self._began >= self.seconds - _ROUNDING
