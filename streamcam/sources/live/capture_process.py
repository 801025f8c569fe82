"""Reads one connection of a live source, in a process of its own that may be killed.

Messages to the parent, by kind:

    opened    connected: codec, frame rate
    alive     data comes in: number of frames decoded, and of corrupt ones
    frame     a requested frame is in the shared picture
    log       a line of FFmpeg's, in debug mode
    fault     it failed: class of the error, message, hint
    end       a generated source is over

The parent sends `{"due": seconds}` to request the first frame from that time on; null for
none.
"""

import logging
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress

import av.logging

from streamcam.demo.source import DemoCapture
from streamcam.errors import SourceUnavailableError, StreamcamError
from streamcam.sources.base import CaptureBackend, CapturedFrame
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.live.capture_connection import Address
from streamcam.sources.live.ffmpeg_capture import FFmpegCapture
from streamcam.types import Picture
from streamcam.urls import Redactor
from streamcam.worker_process import ParentProcess

# Interval of `alive` messages. A stall takes seconds of silence.
_ALIVE_SECONDS = 0.25

# Every fourth row is compared: no digit of a clock in the picture is lower. All of 1080p would take
# 3 ms.
_ROW_STEP = 4


CAPTURE_BACKENDS: Mapping[str, Callable[[Address, str, float | None, Limits], CaptureBackend]] = {
    "demo": DemoCapture
}
"""Capture backends by the scheme of their URLs; all others are read through FFmpeg."""


def open_capture(
    address: Address, name: str, origin: float | None, limits: Limits = DEFAULT_LIMITS
) -> CaptureBackend:
    backend = CAPTURE_BACKENDS.get(address.scheme or "", FFmpegCapture)
    return backend(address, name, origin, limits)


class CaptureReader:
    """Sends one connection's frames to the parent, whose task names the source."""

    def __init__(self, parent: ParentProcess) -> None:
        self._parent = parent
        self._name: str = parent.task["name"]
        self._address = Address(**parent.task["address"])
        self._limits = Limits(frame_pixels=parent.task["frame_pixels"])
        self._due: float | None = None
        self._decoded = 0
        self._next_alive = 0.0
        self._checksum: int | None = None
        self._changed_at = 0.0

    def run(self) -> None:
        """Read until the source ends; raises OSError or EOFError once the parent has ended."""
        camera = open_capture(self._address, self._name, self._parent.task["origin"], self._limits)
        try:
            rate = str(camera.rate) if camera.rate else None
            self._parent.send({"kind": "opened", "codec": camera.codec, "rate": rate})
            for frame in camera.frames():
                self._handle(camera, frame)
        finally:
            with suppress(OSError):
                self._send_alive(camera)  # so that every frame is counted
            camera.close()
        if not camera.generated:
            raise SourceUnavailableError(f"{self._name}: the stream ended")
        self._parent.send({"kind": "end"})

    def _handle(self, camera: CaptureBackend, frame: CapturedFrame | None) -> None:
        if (message := self._parent.receive(0)) is not None:
            self._due = message["due"]
        if frame is not None:
            self._decoded += 1
            if self._due is not None and frame.time >= self._due:
                self._due = None
                self._send_frame(camera, frame)
                return
        if time.monotonic() >= self._next_alive:
            self._next_alive = time.monotonic() + _ALIVE_SECONDS
            self._send_alive(camera)

    def _send_alive(self, camera: CaptureBackend) -> None:
        self._parent.send({"kind": "alive", **self._counts(camera)})

    def _send_frame(self, camera: CaptureBackend, frame: CapturedFrame) -> None:
        picture = frame.picture()
        self._parent.picture.put(picture)
        height, width = picture.shape[:2]
        self._parent.send(
            {
                "kind": "frame",
                **self._counts(camera),
                "width": width,
                "height": height,
                "pts": frame.pts,
                "time_base": str(frame.time_base),
                "time": frame.time,
                "arrival": frame.arrival,
                "waited": frame.decoded - frame.arrival,
                "unchanged": self._unchanged(picture, frame.arrival),
            }
        )

    def _counts(self, camera: CaptureBackend) -> dict[str, int]:
        return {"decoded": self._decoded, "corrupt": camera.corrupt}

    def _unchanged(self, picture: Picture, arrival: float) -> float:
        """Return the seconds since the picture last changed, among the frames that were sent."""
        checksum = zlib.crc32(picture[::_ROW_STEP].tobytes())
        if checksum != self._checksum:
            self._checksum, self._changed_at = checksum, arrival
        return arrival - self._changed_at


class _LogForwarder(logging.Handler):
    def __init__(self, parent: ParentProcess, redactor: Redactor) -> None:
        super().__init__()
        self._parent = parent
        self._redactor = redactor

    def emit(self, record: logging.LogRecord) -> None:
        text = self._redactor(f"{record.name}: {record.getMessage()}".strip())
        self._parent.send({"kind": "log", "text": text})


def _forward_ffmpeg_log(parent: ParentProcess, redactor: Redactor) -> None:
    av.logging.set_level(av.logging.INFO)
    logger = logging.getLogger("libav")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_LogForwarder(parent, redactor))


def main(parent: ParentProcess) -> None:
    redactor = Address(**parent.task["address"]).redactor()
    if parent.task["debug"]:
        _forward_ffmpeg_log(parent, redactor)
    try:
        CaptureReader(parent).run()
    except (EOFError, BrokenPipeError, ConnectionError):
        return  # The parent has ended, or closed the connection.
    except StreamcamError as error:
        fault = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        parent.send({"kind": "fault", **{k: v and redactor(v) for k, v in fault.items()}})
    except Exception as error:  # noqa: BLE001 - logged by the parent
        message = redactor(f"internal fault of its reader: {type(error).__name__}: {error}")
        parent.send({"kind": "fault", "error": "", "message": message, "hint": None})
