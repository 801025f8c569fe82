"""Live sources for tests: they end by themselves, and tell what they went through."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from streamcam.retry import Backoff
from streamcam.sources.base import Selector
from streamcam.sources.live import Address, LiveSource, Report, Timeouts
from streamcam.types import CameraState, Frame
from tests.processes import PATIENCE
from tests.sources.selectors import Everything

CALM = Timeouts(opening=30.0)
"""A reader takes 0.3 s to start, on a busy machine much more."""

QUICK = Timeouts(opening=30.0, reading=1.5, stall=0.5)
"""For who waits for a stall, or for its end."""


class Viewer:
    """A live source and what it told; interrupted when a test waits for too long.

    Attributes:
        source: The source.
        reports: What it told, in order.
        on_change: What a test does besides.
    """

    def __init__(self, url: str, **options: Any) -> None:
        format_, ffmpeg = options.pop("format", None), options.pop("options", {})
        self.reports: list[Report] = []
        self.on_change: Callable[[Report], object] = lambda _: None
        options = {"backoff": Backoff(0.05, 0.1), "patience": CALM} | options
        self.source = LiveSource(
            "cam", Address(url, format_, ffmpeg), on_change=self._changed, **options
        )

    @property
    def states(self) -> list[CameraState]:
        """The states that it went through."""
        return [report.state for report in self.reports]

    @property
    def errors(self) -> list[str]:
        """What was wrong, each once for each time."""
        lost = [r.error for r in self.reports if r.state is CameraState.BACKING_OFF]
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
        """Return the first frames, and take leave."""
        frames = self.frames(selector)
        taken = list(islice(frames, count))
        frames.close()  # type: ignore[attr-defined] # it is a generator
        assert len(taken) == count, f"{len(taken)} frames came; {self.errors}"
        return taken

    def _changed(self, report: Report) -> None:
        self.reports.append(report)
        self.on_change(report)


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
