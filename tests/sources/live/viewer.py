"""Live sources for tests: limited in time, recording their states."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from streamcam.retry import Backoff
from streamcam.sources.base import Selector
from streamcam.sources.live import Address, LiveSource, LiveStatus, Timeouts
from streamcam.types import CameraState, Frame
from tests.processes import PATIENCE
from tests.sources.selectors import Everything

CALM = Timeouts(opening=30.0)
"""A reader takes 0.3 s to start, on a busy machine much more."""

QUICK = Timeouts(opening=30.0, reading=1.5, stall=0.5)
"""For tests of stalls."""


class Viewer:
    """A live source and its states; interrupted when a test waits too long.

    Attributes:
        source: The source.
        statuses: Its states, in order.
        on_change: Called by each change, for tests.
    """

    def __init__(self, url: str, **options: Any) -> None:
        format_, ffmpeg = options.pop("format", None), options.pop("options", {})
        self.statuses: list[LiveStatus] = []
        self.on_change: Callable[[LiveStatus], object] = lambda _: None
        options = {"backoff": Backoff(0.05, 0.1), "timeouts": CALM} | options
        self.source = LiveSource(
            "cam", Address(url, format_, ffmpeg), on_change=self._changed, **options
        )

    @property
    def states(self) -> list[CameraState]:
        """Its states, in order."""
        return [status.state for status in self.statuses]

    @property
    def errors(self) -> list[str]:
        """The messages of its failures."""
        lost = [r.error for r in self.statuses if r.state is CameraState.BACKING_OFF]
        return [error.message for error in lost if error is not None]

    def frames(
        self, selector: Selector | None = None, within: float = 3 * PATIENCE
    ) -> Iterator[Frame]:
        """Yield all frames, or those that a selector wants."""
        timer = threading.Timer(within, self.source.interrupt)
        timer.start()
        frames = self.source.frames(selector or Everything())
        try:
            yield from frames
        finally:
            frames.close()  # type: ignore[attr-defined] # it is a generator
            timer.cancel()
            timer.join()

    def take(self, count: int, selector: Selector | None = None) -> list[Frame]:
        """Return the first frames, and close."""
        frames = self.frames(selector)
        taken = list(islice(frames, count))
        frames.close()  # type: ignore[attr-defined] # it is a generator
        assert len(taken) == count, f"{len(taken)} frames came; {self.errors}"
        return taken

    def _changed(self, status: LiveStatus) -> None:
        self.statuses.append(status)
        self.on_change(status)


@contextmanager
def watched(url: str, **options: Any) -> Iterator[Viewer]:
    """Read a source in a thread of its own until the end of the block; see `Viewer`."""
    viewer = Viewer(url, **options)
    thread = threading.Thread(target=lambda: [None for _ in viewer.frames()], name="viewer")
    thread.start()
    try:
        yield viewer
    finally:
        viewer.source.interrupt()
        thread.join()
