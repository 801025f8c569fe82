"""Publishes annotated pictures as a live stream."""

import logging
import threading
from contextlib import suppress
from typing import Self

import av
from av.container import OutputContainer

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.media_errors import FOREIGN, reason
from streamcam.retry import Backoff
from streamcam.sinks.base import Sink, SinkSettings, SinkTarget
from streamcam.sinks.encoder import EncoderSettings, LiveEncoder
from streamcam.types import CameraState, Frame, Item, Picture
from streamcam.urls import Redactor, redacted_url
from streamcam.worker_process import Message, ParentProcess, WorkerProcess

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
"""Container format by URL scheme."""

_OPTIONS = {
    # UDP loses packets, and few firewalls let it through.
    "rtsp": {"rtsp_transport": "tcp"},
    # A live stream has no length that could be noted in the end.
    "flv": {"flvflags": "no_duration_filesize"},
    "mpegts": {"flush_packets": "1"},
}

_CHILD = "streamcam.sinks.publish"
"""This module itself, run as the process that encodes and sends."""

_TIMEOUT = 10.0
"""Seconds for a server to answer, or to accept a picture: an answer takes a few round trips of tens
of milliseconds."""

_START_TIMEOUT = 20.0
"""Seconds for the process to start: 0.4 s on an idle PC, the rest for a busy small box."""

_STABLE_SECONDS = 10.0
"""A connection that lasted as long resets the backoff: a server that accepts connections and closes
them at once is tried less and less often."""

_CLOSE_TIMEOUT = 2.0
"""Seconds for the server to see the end of the stream."""


class PublishSettings(SinkSettings):
    url: str
    encoder: EncoderSettings = EncoderSettings()


class _ConnectionLostError(Exception):
    """The connection was lost, or could not be made."""


class PublishSink(Sink[PublishSettings]):
    """Publishes the annotated pictures it is given as H.264, to `rtsp://...` and the like.

    Encoding and sending happen in a process of their own, which is killed when its server hangs.
    Connecting is retried for ever, with exponential backoff. Pictures that arrive meanwhile, or
    faster than they can be sent, are dropped and counted: `write` never blocks. Timestamps follow
    the camera's own clock. The attributes may be read from any thread.

    Args:
        url: Where to: rtsp, rtsps, rtmp, rtmps (H.264 in FLV), srt, udp or tcp (H.264 in MPEG-TS).
            Its user, password and tokens are never shown.
        timeout: Seconds for the server to answer, or to accept a picture.

    Attributes:
        state: Connecting, live, backing off or stopped.
        reconnects: How many times connecting was retried.
        dropped: How many pictures were not sent.

    Raises:
        SinkError: The URL's scheme is not supported.
    """

    settings_type = PublishSettings
    needs_picture = True

    def __init__(
        self,
        url: str,
        settings: EncoderSettings | None = None,
        *,
        timeout: float = _TIMEOUT,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = redacted_url(url)
        self._order = _order(url, settings or EncoderSettings())
        self._redacted = Redactor(url)
        self._timeout = timeout
        self._backoff = backoff or Backoff()
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._child: WorkerProcess | None = None
        self._size = (0, 0)
        self._live_size: tuple[int, int] | None = None
        self._next: tuple[Picture, float] | None = None
        self._stopping = False
        self.state = CameraState.CONNECTING
        self._error: str | None = None
        self._logged: str | None = None
        self.reconnects = 0
        self.dropped = 0

    @classmethod
    def create(cls, target: SinkTarget, settings: PublishSettings) -> Self:
        return cls(settings.url, settings.encoder, clock=target.clock)

    @property
    def error(self) -> str | None:
        """Why it is not live, without credentials; None while live and before the first attempt."""
        return self._error

    def write(self, item: Item, picture: Picture | None) -> None:
        """Submit a picture to be sent, or drop it; the first one starts the connection."""
        if picture is None:
            raise ValueError("PublishSink needs the annotated picture")
        frame = item if isinstance(item, Frame) else item.frame
        with self._changed:
            self._size = picture.shape[1], picture.shape[0]
            if self._next is None and self._size == self._live_size and not self._stopping:
                self._next = picture, frame.time
            else:
                self.dropped += 1
            self._changed.notify_all()
            self._begin()

    def finish(self) -> None:
        """Send what was submitted, and close the connection; takes at most seconds."""
        self._end(_CLOSE_TIMEOUT)

    def abort(self) -> None:
        self._end(0.0)

    def _begin(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(
                target=self._run, name=f"streamcam publish {self.url}", daemon=True
            )
            self._thread.start()

    def _end(self, timeout: float) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                with self._changed:
                    if self._child is not None:
                        self._child.interrupt()
                self._thread.join()
        self.state = CameraState.STOPPED

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._publish(self._size)
            except (_ConnectionLostError, OSError) as error:
                if not self._stopping:
                    self._back_off(self._redacted(str(error)))

    def _publish(self, size: tuple[int, int]) -> None:
        """Publish pictures of one size, until the size changes or the sink is closed."""
        self.state = CameraState.CONNECTING
        child = WorkerProcess(_CHILD, {**self._order, "width": size[0], "height": size[1]})
        live_since: float | None = None
        try:
            with self._changed:
                self._child = child
                if self._stopping:
                    return
            _await(child, "started", _START_TIMEOUT)
            _await(child, "connected", self._timeout)
            with self._changed:
                self._live_size = size
                self.state = CameraState.LIVE
                self._error = self._logged = None
            logger.info("%s: published, %d x %d pixels", self.url, *size)
            live_since = self._clock.monotonic()
            while submitted := self._next_picture(size):
                self._send(child, *submitted)
            child.send({"end": True})
            child.ended(_CLOSE_TIMEOUT)
        finally:
            with self._changed:
                self.dropped += self._next is not None
                self._child = self._live_size = self._next = None
            child.kill()
            if live_since is not None and self._clock.monotonic() - live_since >= _STABLE_SECONDS:
                self._backoff.reset()

    def _send(self, child: WorkerProcess, picture: Picture, time: float) -> None:
        child.picture.put(picture)
        child.send({"time": time})
        try:
            _await(child, "taken", self._timeout)
        except _ConnectionLostError:
            with self._changed:
                self.dropped += 1
            raise

    def _next_picture(self, size: tuple[int, int]) -> tuple[Picture, float] | None:
        """Wait for the next picture of this size; None when there will be no other."""
        with self._changed:
            self._changed.wait_for(lambda: self._next or self._stopping or self._size != size)
            submitted, self._next = self._next, None
            return submitted

    def _back_off(self, error: str) -> None:
        if error != self._logged:
            logger.warning("%s: not published, and tried again: %s", self.url, error)
        with self._changed:
            self.state = CameraState.BACKING_OFF
            self._error = self._logged = error
            self._changed.wait_for(lambda: self._stopping, self._backoff.next())
            self.reconnects += not self._stopping


def _await(child: WorkerProcess, answer: str, seconds: float) -> None:
    try:
        message = child.receive(seconds)
    except EOFError:
        raise _ConnectionLostError("its process has ended") from None
    if message is None:
        raise _ConnectionLostError(f"no answer in {seconds:g} s")
    if answer not in message:
        raise _ConnectionLostError(str(message.get("error")))


def _order(url: str, settings: EncoderSettings) -> Message:
    """Return the task of the child process."""
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


def main(parent: ParentProcess) -> None:
    """Encode and send, as the child process of a sink, and report errors to it."""
    with suppress(EOFError, OSError):
        try:
            _send_pictures(parent, parent.task)
        except SinkError as error:
            parent.send({"error": error.message})
        except FOREIGN as error:
            parent.send({"error": Redactor(parent.task["url"])(reason(error))})


def _send_pictures(parent: ParentProcess, order: Message) -> None:
    """Send pictures until the parent has no more."""
    parent.send({"started": True})

    def connect() -> OutputContainer:
        options = _OPTIONS[order["format"]]
        return av.open(order["url"], "w", format=order["format"], container_options=options)

    width, height = order["width"], order["height"]
    settings = EncoderSettings(encoder=order["encoder"], threads=order["threads"])
    encoder = LiveEncoder((width, height), settings, redacted_url(order["url"]), connect)
    parent.send({"connected": True})
    first: float | None = None
    while "time" in (message := parent.receive(None) or {}):
        first = message["time"] if first is None else first
        picture = parent.picture.get(width, height)
        encoder.container.mux(encoder.encode(picture, message["time"] - first, key=False))
        parent.send({"taken": True})
    encoder.container.mux(encoder.flush())
    encoder.close()
