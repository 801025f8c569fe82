"""What a camera gives its reader: decoded frames, made pictures only when they are wanted."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from streamcam.types import Picture

# While a paced source waits for the next frame's time, its reader still says that it is alive.
_NAP = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A decoded frame.

    Attributes:
        pts: Its timestamp as the source gave it, in units of `time_base`.
        time_base: Seconds per unit.
        time: Seconds since the source's first frame.
        arrival: Monotonic seconds when its data came in.
        decoded: Monotonic seconds when it left the decoder.
        picture: Makes the picture, as displayed.
    """

    pts: int
    time_base: Fraction
    time: float
    arrival: float
    decoded: float
    picture: Callable[[], Picture]


class CaptureBackend(Protocol):
    """An open connection. Constructors raise `SourceError`s; so may `shots`."""

    codec: str
    rate: Fraction | None
    corrupt: int
    """Packets and frames that were refused or marked as damaged so far."""

    def shots(self) -> Iterator[CapturedFrame | None]:
        """Yield each good frame, and None now and then while data comes in but no frame does."""
        ...

    def close(self) -> None:
        """Take leave."""
        ...


def until(moment: float) -> Iterator[None]:
    """Sleep until a moment on the monotonic clock, yielding now and then."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(min(left, _NAP))
        yield None
