"""What every source of frames offers."""

from collections.abc import Iterator
from typing import Protocol

from streamcam.types import Frame, SourceInfo


class Selector(Protocol):
    """Decides, frame by frame, what a source has to turn into a picture.

    A source asks about every frame in order of presentation, before it spends anything on the
    picture.
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
        """Tell whether this frame is to be explained, and move on."""
        ...


class Source(Protocol):
    """One file, picture, stream or scene, opened.

    Constructors open the medium and raise `SourceError`s; `frames` may raise them later.
    Everything but `interrupt` belongs to the thread that iterates.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        ...

    @property
    def decoded(self) -> int:
        """How many frames the decoder has given so far."""
        ...

    @property
    def corrupt(self) -> int:
        """How many packets or frames were refused or marked as damaged so far."""
        ...

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames in order of presentation.

        Args:
            selector: Decides which frames are sampled.
            every: Yield the others too, marked `sampled=False`.

        Raises:
            CorruptMediaError: The medium became unreadable; what was yielded before stays good.
            SourceUnavailableError: The medium went away.
        """
        ...

    def interrupt(self) -> None:
        """Make `frames` end soon, from any thread, without an error."""
        ...

    def close(self) -> None:
        """Release the medium; safe to call twice."""
        ...
