"""What every sink of results offers."""

from pathlib import Path
from typing import ClassVar, Protocol

from streamcam.types import Item, Picture


class Sink(Protocol):
    """Takes one source's results, in order, and publishes them at the end or not at all.

    Nothing is visible under the final name before `finish`; sinks of live sources publish a whole
    piece at a time. Every method may raise `SinkError`.
    """

    kind: ClassVar[str]
    """What it writes, as named in reports: "video", "picture", "records", "segments", "publish"."""

    @property
    def needs_picture(self) -> bool:
        """Whether `write` must be given the annotated picture."""
        ...

    def write(self, item: Item, picture: Picture | None) -> None:
        """Take one item.

        Args:
            item: An explained frame, or one that only passed (sinks of records ignore those).
            picture: The annotated picture, RGB, uint8, [height, width, 3]; None for sinks that
                do not need it.
        """
        ...

    def finish(self) -> Path | None:
        """Complete, sync and publish what was written; return the final path.

        None is returned by sinks whose results are no files.
        """
        ...

    def abort(self) -> None:
        """Leave no trace; safe to call at any time, also after a failure or twice.

        Sinks of live sources publish what is whole: it cannot be had again.
        """
        ...
