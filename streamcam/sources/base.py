"""What every source of frames offers, and the sampling loop that all of them share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import inf
from threading import Event
from typing import Protocol

from streamcam.clock import Clock
from streamcam.types import Frame, Picture, SourceInfo, TrueObject

# While a paced capture waits for the next frame's time, its process still reports that it is alive.
_MAX_SLEEP = 0.2


class Selector(Protocol):
    """Decides, frame by frame, which frames of a source are sampled.

    A source asks about every frame in order of presentation, before it converts the picture.
    """

    @property
    def start(self) -> float:
        """Seconds before which no frame is wanted; a source may seek there."""
        ...

    @property
    def next_due(self) -> float:
        """Seconds before which the next frame will not be wanted; `inf` when none ever will be.

        A source may leave everything before it undecoded.
        """
        ...

    def wants(self, index: int, time: float) -> bool:
        """Return whether this frame is to be explained, and move on to the next due time."""
        ...


class Source(Protocol):
    """One open file, image, stream or scene.

    Constructors open the medium and raise `SourceError`s; `frames` may raise them later.
    Everything but `interrupt` belongs to the thread that iterates.
    """

    @property
    def info(self) -> SourceInfo: ...

    @property
    def decoded(self) -> int: ...

    @property
    def corrupt(self) -> int:
        """Number of packets or frames that were refused or marked as damaged so far."""
        ...

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames in order of presentation.

        With `every` the others are yielded too, marked `sampled=False`.

        Raises:
            CorruptMediaError: The medium became unreadable; what was yielded before stays good.
            SourceUnavailableError: The medium went away.
        """
        ...

    def interrupt(self) -> None:
        """Make `frames` end soon, from any thread, without an error."""
        ...

    def close(self) -> None:
        """Release the medium. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A decoded frame of a source; its picture is converted only when it is wanted.

    Attributes, where they are not those of `Frame`:
        picture: Returns the frame as displayed: RGB, uint8, [height, width, 3].
        size: Width and height where they may change; a change is a discontinuity.
        arrival: Monotonic seconds when its data came in; None for now.
    """

    index: int
    pts: int
    time_base: Fraction
    time: float
    picture: Callable[[], Picture]
    size: tuple[int, int] = (0, 0)
    arrival: float | None = None
    time_utc: datetime | None = None
    unchanged: float = 0.0


def sampled(
    frames: Iterable[DecodedFrame],
    selector: Selector,
    *,
    source: str,
    clock: Clock,
    every: bool = False,
) -> Iterator[Frame]:
    """Yield the wanted frames; with `every` the others since `selector.start` too.

    The first frame, and each one whose size differs from the one before it, is marked as a
    discontinuity. The clock gives the arrival of frames that have none.
    """
    size: tuple[int, int] | None = None
    for decoded in frames:
        if decoded.time < selector.start:
            continue
        wanted = selector.wants(decoded.index, decoded.time)
        if not (wanted or every):
            continue
        yield Frame(
            source=source,
            arrival=clock.monotonic() if decoded.arrival is None else decoded.arrival,
            index=decoded.index,
            pts=decoded.pts,
            time_base=decoded.time_base,
            time=decoded.time,
            picture=decoded.picture(),
            sampled=wanted,
            time_utc=decoded.time_utc,
            discontinuity=decoded.size != size,
            unchanged=decoded.unchanged,
        )
        size = decoded.size


class FiniteSource(ABC):
    """A source that can be read to its end and may wait: a file, an image, a scene.

    A subclass opens its medium in its constructor, sets `info` and implements `decode`.
    """

    info: SourceInfo

    def __init__(self) -> None:
        self._interrupted = Event()
        self._clock = Clock()
        self._decoded = 0

    @property
    def decoded(self) -> int:
        return self._decoded

    @property
    def corrupt(self) -> int:
        """See `Source.corrupt`; 0 where damage ends the source."""
        return 0

    @abstractmethod
    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:
        """Yield every frame from the first on; called once.

        Frames before `selector.start`, and without `every` those before `selector.next_due`, may
        be left out where that saves work, as long as `index` counts them.

        Raises:
            SourceError: The medium became unreadable or went away.
        """

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """See `Source.frames`; to be called once. Ends early when nothing is wanted any more."""
        return sampled(
            self._wanted_range(selector, every=every),
            selector,
            source=self.info.id,
            clock=self._clock,
            every=every,
        )

    def truth(self, time: float) -> Sequence[TrueObject] | None:  # noqa: ARG002 - for subclasses
        """Return the objects in the frame at a time in seconds; None where they are unknown."""
        return None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:  # noqa: B027 - most media have nothing to release
        """Release the medium. Idempotent."""

    def _wanted_range(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:
        for frame in self.decode(selector, every=every):
            if self._interrupted.is_set() or selector.next_due == inf:
                return
            self._decoded += 1
            yield frame


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A decoded frame of a live capture; its picture is converted only when it is wanted.

    Attributes, where they are not those of `DecodedFrame`:
        arrival: Monotonic seconds when its data came in.
        decoded: Monotonic seconds when it left the decoder.
    """

    pts: int
    time_base: Fraction
    time: float
    arrival: float
    decoded: float
    picture: Callable[[], Picture]


class CaptureBackend(Protocol):
    """An open connection to a live source. Constructors and `frames` raise `SourceError`s."""

    codec: str
    rate: Fraction | None
    generated: bool
    """Whether it makes its own frames, in real time, and may end; others end by failure only."""
    corrupt: int
    """Packets and frames that were refused or marked as damaged so far."""

    def frames(self) -> Iterator[CapturedFrame | None]:
        """Yield each good frame, and None now and then while data comes in but no frame does."""
        ...

    def close(self) -> None: ...


def sleep_until(moment: float) -> Iterator[None]:
    """Sleep until a moment on the monotonic clock, yielding now and then."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(min(left, _MAX_SLEEP))
        yield None
