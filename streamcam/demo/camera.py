"""The demo street as a camera, in real time and for ever."""

import time
from collections.abc import Iterator
from functools import partial

from streamcam.demo.source import DemoSource
from streamcam.sources.live.captured_frame import CapturedFrame, until


class DemoCamera:
    """Draws the demo scene as a camera would send it.

    Args:
        url: `demo://street`, with its options; without `seconds` it never ends.
        origin: Monotonic seconds of the source's first frame, None where this one begins it.

    Raises:
        SourceError: The URL names no scene.
    """

    codec = "drawn"
    corrupt = 0

    def __init__(self, url: str, origin: float | None) -> None:
        source = DemoSource(url)
        self._street = source.street
        self.rate = source.info.frame_rate
        self._step = source.info.time_base
        self._count = source.info.frame_count if "seconds=" in url else None
        self._origin = origin

    def shots(self) -> Iterator[CapturedFrame | None]:
        """Yield the scene's frames, each at its time."""
        begun = time.monotonic()
        offset = 0.0 if self._origin is None else begun - self._origin
        index = 0
        while index != self._count:
            seconds = float(index * self._step)
            yield from until(begun + seconds)
            now = time.monotonic()
            picture = partial(self._street.picture, seconds)
            yield CapturedFrame(index, self._step, offset + seconds, now, now, picture)
            # Drawing may take longer than a step: what is late is left out, as a camera would.
            index = max(index + 1, int((time.monotonic() - begun) / float(self._step)))

    def close(self) -> None:
        """Do nothing: there is nothing to take leave of."""
