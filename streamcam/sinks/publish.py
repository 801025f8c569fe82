"""Annotated pictures, published again as a live stream."""

import logging
import threading
from typing import Self

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.retry import Backoff
from streamcam.sinks.base import Sink, SinkSettings, Target
from streamcam.sinks.encoder import EncoderSettings
from streamcam.types import CameraState, Frame, Item, Picture
from streamcam.urls import Redactor, redacted_url
from streamcam.worker_process import Message, WorkerProcess

logger = logging.getLogger(__name__)

FORMATS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "srt": "mpegts",
    "udp": "mpegts",
    "tcp": "mpegts",
}
"""What a URL's scheme says of the container."""

_CHILD = "streamcam.sinks.publish_process"

_PATIENCE = 10.0
"""Seconds that a server gets to answer, or to take a picture. An answer takes some round trips,
tens of milliseconds each; beyond it a viewer has given up."""

_START = 20.0
"""Seconds that the process gets to start: 0.4 s on an idle PC, the rest for a busy small box."""

_STEADY = 10.0
"""Seconds that a connection must have held to count as good: servers that let everybody in and
then hang up are tried less and less often."""

_FAREWELL = 2.0
"""Seconds that a server gets to take note of the end."""


class PublishSettings(SinkSettings):
    """Where a camera's pictures are published.

    Attributes:
        url: See `PublishSink`.
        encoder: How the video is encoded.
    """

    url: str
    encoder: EncoderSettings = EncoderSettings()


class _LostError(Exception):
    """The connection was lost, or not made."""


class PublishSink(Sink[PublishSettings]):
    """Publishes the annotated pictures it is given as H.264, to `rtsp://...` and the like.

    Encoding and sending happen in a process of their own, which is ended when its server hangs.
    A connection that is lost or cannot be made is tried for ever, with growing pauses. Pictures
    that come meanwhile, or faster than they can be sent, are dropped and counted: `write` never
    waits. Frames keep their distance in time on the camera's own clock.

    The attributes may be read from any thread.

    Args:
        url: Where to: rtsp, rtsps, rtmp, rtmps (H.264 in FLV), srt, udp or tcp (H.264 in MPEG-TS).
            It may hold a user, a password and tokens, which are shown nowhere.
        settings: How the video is encoded.
        patience: Seconds that the server gets to answer, or to take a picture.
        backoff: The pauses between tries.
        clock: Tells how long a connection held.

    Raises:
        SinkError: The URL's scheme says nothing of how to publish.
    """

    settings_type = PublishSettings
    needs_picture = True

    def __init__(
        self,
        url: str,
        settings: EncoderSettings | None = None,
        *,
        patience: float = _PATIENCE,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = redacted_url(url)
        self._order = _order(url, settings or EncoderSettings())
        self._redacted = Redactor(url)
        self._patience = patience
        self._backoff = backoff or Backoff()
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._child: WorkerProcess | None = None
        self._size = (0, 0)
        self._live_size: tuple[int, int] | None = None
        self._next: tuple[Picture, float] | None = None
        self._over = False
        self._state = CameraState.CONNECTING
        self._error: str | None = None
        self._told: str | None = None
        self._reconnects = 0
        self._dropped = 0

    @classmethod
    def create(cls, target: Target, settings: PublishSettings) -> Self:
        return cls(settings.url, settings.encoder, clock=target.clock)

    @property
    def state(self) -> CameraState:
        """Whether it is connecting, live, backing off or stopped."""
        return self._state

    @property
    def error(self) -> str | None:
        """Why it is not live, without credentials; None while it is, or was never tried."""
        return self._error

    @property
    def reconnects(self) -> int:
        """How often a connection was tried again."""
        return self._reconnects

    @property
    def dropped(self) -> int:
        """How many pictures were not sent."""
        return self._dropped

    def write(self, item: Item, picture: Picture | None) -> None:
        """Hand over a picture to be sent, or drop it; the first one begins the connection."""
        if picture is None:
            raise ValueError("PublishSink needs the annotated picture")
        frame = item if isinstance(item, Frame) else item.frame
        with self._changed:
            self._size = picture.shape[1], picture.shape[0]
            if self._next is None and self._size == self._live_size and not self._over:
                self._next = picture, frame.time
            else:
                self._dropped += 1
            self._changed.notify_all()
            self._begin()

    def finish(self) -> None:
        """Send what was handed over, say goodbye, and end; it takes seconds at most."""
        self._end(_FAREWELL)

    def abort(self) -> None:
        """End at once."""
        self._end(0.0)

    def _begin(self) -> None:
        if self._thread is None and not self._over:
            self._thread = threading.Thread(
                target=self._run, name=f"streamcam publish {self.url}", daemon=True
            )
            self._thread.start()

    def _end(self, patience: float) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(patience)
            if self._thread.is_alive():
                with self._changed:
                    if self._child is not None:
                        self._child.interrupt()
                self._thread.join()
        self._state = CameraState.STOPPED

    def _run(self) -> None:
        while not self._over:
            try:
                self._publish(self._size)
            except (_LostError, OSError) as error:
                if not self._over:
                    self._back_off(self._redacted(str(error)))

    def _publish(self, size: tuple[int, int]) -> None:
        """Publish pictures of one size, until another size comes or all is over.

        Raises:
            _LostError: The server is not there, or has gone.
            OSError: There is no room for another process.
        """
        self._state = CameraState.CONNECTING
        child = WorkerProcess(_CHILD, {**self._order, "width": size[0], "height": size[1]})
        live_since: float | None = None
        try:
            with self._changed:
                self._child = child
                if self._over:
                    return
            _await(child, "started", _START)
            _await(child, "connected", self._patience)
            self._went_live(size)
            live_since = self._clock.monotonic()
            while handed := self._handed_over(size):
                self._send(child, *handed)
            child.send({"end": True})
            child.ended(_FAREWELL)
        finally:
            with self._changed:
                self._dropped += self._next is not None
                self._child = self._live_size = self._next = None
            child.kill()
            if live_since is not None and self._clock.monotonic() - live_since >= _STEADY:
                self._backoff.reset()

    def _send(self, child: WorkerProcess, picture: Picture, time: float) -> None:
        child.picture.put(picture)
        child.send({"time": time})
        try:
            _await(child, "taken", self._patience)
        except _LostError:
            with self._changed:
                self._dropped += 1
            raise

    def _went_live(self, size: tuple[int, int]) -> None:
        with self._changed:
            self._live_size = size
            self._state = CameraState.LIVE
            self._error = self._told = None
        logger.info("%s: published, %d x %d pixels", self.url, *size)

    def _handed_over(self, size: tuple[int, int]) -> tuple[Picture, float] | None:
        """Wait for the next picture of this size; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._next or self._over or self._size != size)
            handed, self._next = self._next, None
            return handed

    def _back_off(self, error: str) -> None:
        if error != self._told:
            logger.warning("%s: not published, and tried again: %s", self.url, error)
        with self._changed:
            self._state = CameraState.BACKING_OFF
            self._error = self._told = error
            self._changed.wait_for(lambda: self._over, self._backoff.next())
            self._reconnects += not self._over


def _await(child: WorkerProcess, answer: str, seconds: float) -> None:
    try:
        message = child.receive(seconds)
    except EOFError:
        raise _LostError("its process has ended") from None
    if message is None:
        raise _LostError(f"no answer in {seconds:g} s")
    if answer not in message:
        raise _LostError(str(message.get("error")))


def _order(url: str, settings: EncoderSettings) -> Message:
    """Return what the child must know.

    Raises:
        SinkError: The URL's scheme says nothing of how to publish.
    """
    scheme = url.partition("://")[0].lower()
    if scheme not in FORMATS:
        raise SinkError(
            f"{redacted_url(url)}: cannot be published to",
            hint=f"Publish to one of {', '.join(f'{name}://' for name in FORMATS)}.",
        )
    return {
        "url": url,
        "format": FORMATS[scheme],
        "encoder": settings.encoder,
        "threads": settings.threads,
    }
