"""The newest annotated picture of a live source, for whoever watches."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import cv2

from streamcam.clock import Clock
from streamcam.types import Frame, FrameResult, Item, Picture

LONGEST_SIDE = 1280
"""Pixels of a preview. A tile of a wall is smaller, and one camera alone still looks sharp."""

_QUALITY = 80
# Street scene with heat, 1280x720: 3 ms and 125 kB, 1920x1080 made smaller 8 ms and 115 kB; at 92,
# as stills have it, half as much again.
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]

_LEASE_SECONDS = 3.0
"""Watchers ask again within a second; a network that pauses a little does not end their picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a camera shows at this moment.

    Attributes:
        number: Counts the pictures, from 1.
        result: The explained frame.
        picture: It annotated, where that was drawn for something else already.
        since: Monotonic seconds when it came.
    """

    number: int
    result: FrameResult
    picture: Picture | None
    since: float


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture ready to be sent.

    Attributes:
        number: Counts the camera's pictures, from 1; a higher one is newer.
        jpeg: The annotated picture.
        since: Monotonic seconds when it came.
    """

    number: int
    jpeg: bytes
    since: float


class PreviewSink:
    """Holds a source's newest explained frame, and draws and encodes it when somebody looks.

    Looking happens on the watchers' threads: a source's own thread only ever leaves a reference
    here. Nothing queues: who comes late sees the newest picture, and what nobody saw in time was
    never encoded.

    Args:
        draw: Annotates an explained frame, on any thread.
        clock: Tells the time.
    """

    kind: ClassVar[str] = "preview"
    needs_picture: ClassVar[bool] = False

    def __init__(self, draw: Callable[[FrameResult], Picture], clock: Clock | None = None) -> None:
        self._draw = draw
        self._clock = clock or Clock()
        self._shown: Shown | None = None
        self._wanted_until = float("-inf")
        self._encoding = threading.Lock()
        self._encoded: Preview | None = None
        self.encodings = 0

    @property
    def shown(self) -> Shown | None:
        """What the camera shows; None before its first explained frame."""
        return self._shown

    @property
    def wanted(self) -> bool:
        """Whether somebody watches, or did a moment ago."""
        return self._clock.monotonic() < self._wanted_until

    def ask(self) -> None:
        """Say that somebody watches; to be repeated at least every second."""
        self._wanted_until = self._clock.monotonic() + _LEASE_SECONDS

    def write(self, item: Item, picture: Picture | None = None) -> None:
        """Take the newest item; frames that only passed are ignored.

        Args:
            item: An explained frame, or one that only passed.
            picture: The annotated picture, if it was drawn anyway; never written to afterwards.
        """
        if isinstance(item, Frame):
            return
        number = 1 if self._shown is None else self._shown.number + 1
        self._shown = Shown(number, item, picture, self._clock.monotonic())

    def preview(self) -> Preview | None:
        """Return the newest picture, encoded once however many watch; None before the first."""
        self.ask()
        with self._encoding:
            shown = self._shown
            if shown is None:
                return None
            if self._encoded is None or self._encoded.number != shown.number:
                self._encoded = self._encode(shown)
            return self._encoded

    def _encode(self, shown: Shown) -> Preview:
        picture = self._draw(shown.result) if shown.picture is None else shown.picture
        self.encodings += 1
        return Preview(shown.number, _jpeg(picture), shown.since)


def _jpeg(picture: Picture) -> bytes:
    shown = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR)
    _, content = cv2.imencode(".jpg", shown, _JPEG)
    return content.tobytes()
