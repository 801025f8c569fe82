"""Reads one connection of a live source; run as a process of its own, which may be killed.

It tells its parent, in messages of these kinds:

    opened    it answers: codec, frame rate
    alive     data comes in: how many frames were decoded, how many were corrupt
    frame     a frame that was asked for lies in the shared picture
    log       a line of FFmpeg's, in debug mode
    fault     it cannot go on: which error, what is wrong, what to do
    end       a source that is made here is over

The parent sends `{"due": seconds}` for each frame that it wants: the first one from that time on;
null for none.
"""

import logging
import time
import zlib
from contextlib import suppress
from fractions import Fraction

import av.logging

from streamcam.demo.camera import DemoCamera
from streamcam.errors import SourceUnavailableError, StreamcamError
from streamcam.sources.live.address import Address
from streamcam.sources.live.capture import FFmpegCamera
from streamcam.sources.live.captured_frame import CaptureBackend, CapturedFrame
from streamcam.types import Picture
from streamcam.urls import Redactor
from streamcam.worker_process import ParentProcess

# How often the parent hears that data comes in. It takes seconds of silence for a stall.
_ALIVE_SECONDS = 0.25

# Of the rows one in so many is compared: no letter of a clock in the picture is lower. The whole of
# 1080p would take 3 ms.
_GLANCE = 4


class Reader:
    """Carries one connection's frames to the parent.

    Args:
        parent: The other end. Its order names the source.
    """

    def __init__(self, parent: ParentProcess) -> None:
        self._parent = parent
        self._name: str = parent.order["name"]
        self._address = Address.of_order(parent.order["address"])
        self._due: float | None = None
        self._decoded = 0
        self._next_alive = 0.0
        self._seen: int | None = None
        self._changed = 0.0

    def run(self) -> None:
        """Read until the source ends or fails, or until the parent has gone.

        Raises:
            SourceError: The source failed.
            OSError: The parent has gone.
            EOFError: The parent has gone.
        """
        camera = self._open(self._parent.order["origin"])
        try:
            self._parent.send({"kind": "opened", "codec": camera.codec, "rate": _pair(camera.rate)})
            for shot in camera.shots():
                self._tell(camera, shot)
        finally:
            with suppress(OSError):
                self._say_alive(camera)  # so that no frame goes uncounted
            camera.close()
        if not self._address.generated:
            raise SourceUnavailableError(f"{self._name}: the stream ended")
        self._parent.send({"kind": "end"})

    def _open(self, origin: float | None) -> CaptureBackend:
        if self._address.url.startswith("demo://"):
            return DemoCamera(self._address.url, origin)
        return FFmpegCamera(self._address, self._name, origin)

    def _tell(self, camera: CaptureBackend, shot: CapturedFrame | None) -> None:
        if (message := self._parent.receive(0)) is not None:
            self._due = message["due"]
        if shot is not None:
            self._decoded += 1
            if self._due is not None and shot.time >= self._due:
                self._due = None
                self._show(camera, shot)
                return
        if time.monotonic() >= self._next_alive:
            self._next_alive = time.monotonic() + _ALIVE_SECONDS
            self._say_alive(camera)

    def _say_alive(self, camera: CaptureBackend) -> None:
        self._parent.send({"kind": "alive", **self._counts(camera)})

    def _show(self, camera: CaptureBackend, shot: CapturedFrame) -> None:
        picture = shot.picture()
        self._parent.picture.put(picture)
        height, width = picture.shape[:2]
        self._parent.send(
            {
                "kind": "frame",
                **self._counts(camera),
                "width": width,
                "height": height,
                "pts": shot.pts,
                "time_base": _pair(shot.time_base),
                "time": shot.time,
                "arrival": shot.arrival,
                "waited": shot.decoded - shot.arrival,
                "unchanged": self._unchanged(picture, shot.arrival),
            }
        )

    def _counts(self, camera: CaptureBackend) -> dict[str, int]:
        return {"decoded": self._decoded, "corrupt": camera.corrupt}

    def _unchanged(self, picture: Picture, arrival: float) -> float:
        """Return for how many seconds the frames that were sent have shown the very same."""
        glance = zlib.crc32(picture[::_GLANCE].tobytes())
        if glance != self._seen:
            self._seen, self._changed = glance, arrival
        return arrival - self._changed


class _Relay(logging.Handler):
    """Hands FFmpeg's own lines to the parent, without secrets."""

    def __init__(self, parent: ParentProcess, redactor: Redactor) -> None:
        super().__init__()
        self._parent = parent
        self._redactor = redactor

    def emit(self, record: logging.LogRecord) -> None:
        text = self._redactor(f"{record.name}: {record.getMessage()}".strip())
        self._parent.send({"kind": "log", "text": text})


def _pair(value: Fraction | None) -> tuple[int, int] | None:
    return None if value is None else (value.numerator, value.denominator)


def _listen_to_ffmpeg(parent: ParentProcess, redactor: Redactor) -> None:
    av.logging.set_level(av.logging.INFO)
    logger = logging.getLogger("libav")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_Relay(parent, redactor))


def main() -> None:
    """Find the parent, do as it says, and tell it what went wrong."""
    parent = ParentProcess.met()
    redactor = Address.of_order(parent.order["address"]).redactor()
    if parent.order["debug"]:
        _listen_to_ffmpeg(parent, redactor)
    try:
        Reader(parent).run()
    except (EOFError, BrokenPipeError, ConnectionError):
        return  # The parent has gone, or wants no more.
    except StreamcamError as error:
        fault = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        parent.send({"kind": "fault", **{k: v and redactor(v) for k, v in fault.items()}})
    except Exception as error:  # noqa: BLE001 - told by the parent, who has a log
        message = redactor(f"internal fault of its reader: {type(error).__name__}: {error}")
        parent.send({"kind": "fault", "error": "", "message": message, "hint": None})


if __name__ == "__main__":
    main()
