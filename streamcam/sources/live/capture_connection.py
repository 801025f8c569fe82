"""A live source's address, one connection to it in a process of its own, its stall detector."""

import logging
import math
import re
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from streamcam import errors
from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.sources.limits import Limits
from streamcam.types import Picture
from streamcam.urls import Redactor, is_secret, redacted_url, scheme_of
from streamcam.worker_process import Message, WorkerProcess

_log = logging.getLogger(__name__)

_DEVICE = re.compile(r"/dev/video\d+")

# UDP loses packets, which smears pictures, and few firewalls let it through. Guessing the frame
# rate, which is not needed, makes opening take 1.0 s instead of 0.3 s.
_RTSP = {"rtsp_transport": "tcp", "fpsprobesize": "0"}

_READER = "streamcam.sources.live.capture_process"

# A reader that does not hang ends at its next packet.
_EXIT_SECONDS = 0.5

# A stall lasts several usual intervals: one frame in ten seconds has not stalled after three.
_INTERVALS = 3.0
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Address:
    """A live source as configured.

    Attributes:
        url: A URL, a device such as /dev/video0, `demo://street`, or whatever the format takes. It
            may hold a password.
        format: FFmpeg's name of the input format, None to detect it.
        options: FFmpeg's options for it.
    """

    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def redacted(self) -> str:
        """The URL without credentials, for people and records."""
        return redacted_url(self.url)

    @property
    def generated(self) -> bool:
        """Whether FFmpeg reads it as fast as it can: a synthetic source or a file."""
        return self.format == "lavfi" or Path(self.url).is_file()

    @property
    def scheme(self) -> str | None:
        """The URL's scheme in lower case, None for devices and where a format is given."""
        return scheme_of(self.url) if self.format is None else None

    @property
    def input_format(self) -> str | None:
        if self.format is None and _DEVICE.fullmatch(self.url):
            return "v4l2"
        return self.format

    @property
    def input_options(self) -> dict[str, str]:
        defaults = _RTSP if self.scheme in ("rtsp", "rtsps") else {}
        return {**defaults, **self.options}

    @property
    def secrets(self) -> set[str]:
        """Values of options that must not be shown; the URL may hold more."""
        return {value for name, value in self.options.items() if is_secret(name)}

    def redactor(self) -> Redactor:
        return Redactor(self.url, secrets=self.secrets)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits for waiting on a live source.

    Attributes:
        opening: Seconds within which it must answer.
        reading: Seconds without any data after which the connection has failed.
        picture: Seconds without a picture, though data comes in, after which it has failed. Some
            cameras send a key frame only every half minute.
        stall: Seconds without a picture after which it is reported as stalled.
    """

    opening: float = 10.0
    reading: float = 10.0
    picture: float = 60.0
    stall: float = 3.0


class StallDetector:
    """Decides when one connection, begun at `now`, has stalled or failed; in monotonic seconds."""

    def __init__(self, name: str, timeouts: Timeouts, now: float) -> None:
        self._name = name
        self._timeouts = timeouts
        self._opened = False
        self._data = self._picture = now
        self._decoded = 0
        self._step = 0.0

    @property
    def live(self) -> bool:
        return self._decoded > 0

    def opened(self, now: float) -> None:
        self._opened = True
        self._data = self._picture = now

    def received(self, decoded: int, now: float) -> None:
        self._data = now
        new = decoded - self._decoded
        if new > 0:
            step = (now - self._picture) / new
            self._step += (step - self._step) * (_WEIGHT if self.live else 1.0)
            self._picture, self._decoded = now, decoded

    def stalled(self, now: float) -> bool:
        return self.live and now >= self._stall_moment

    def seconds_left(self, now: float) -> float:
        moments = [self._limit[0]]
        if self.live and now < self._stall_moment:
            moments.append(self._stall_moment)
        return max(0.0, min(moments) - now)

    def check(self, now: float) -> None:
        """Raise `SourceUnavailableError` once the source sent nothing for too long."""
        moment, reason = self._limit
        if now >= moment:
            raise SourceUnavailableError(f"{self._name}: {reason}")

    @property
    def _stall_moment(self) -> float:
        return self._picture + max(self._timeouts.stall, _INTERVALS * self._step)

    @property
    def _limit(self) -> tuple[float, str]:
        timeouts = self._timeouts
        if not self._opened:
            return self._data + timeouts.opening, f"did not answer for {timeouts.opening:g} s"
        return min(
            (self._data + timeouts.reading, f"sent nothing for {timeouts.reading:g} s"),
            (self._picture + timeouts.picture, f"sent no picture for {timeouts.picture:g} s"),
        )


class CaptureConnection:
    """The parent's end of a reader, which `close` kills at once where it is marked as `hung`.

    For one thread, except `interrupt`.

    Args:
        name: The source's name for people.
        origin: Monotonic seconds of the source's first frame, None before it.
        limits: Of its frames' pixels.

    Raises:
        SourceUnavailableError: The reader's process cannot be started.
    """

    def __init__(self, name: str, address: Address, origin: float | None, limits: Limits) -> None:
        self._name = name
        self.hung = False
        self._interrupted = False
        task = {
            "name": name,
            "address": asdict(address),
            "origin": origin,
            "frame_pixels": limits.frame_pixels,
            "debug": _log.isEnabledFor(logging.DEBUG),
        }
        try:
            self._process = WorkerProcess(_READER, task)
        except OSError as error:
            raise SourceUnavailableError(
                f"{name}: its reader cannot be started: {error.strerror}"
            ) from error

    def request(self, due: float) -> None:
        """Request the first frame whose time is not before `due`; none where it is `inf`."""
        # JSON has no infinity.
        self._process.send({"due": None if due == math.inf else max(0.0, due)})

    def next(self, timeout: float) -> Message | None:
        """Return the next message of `capture_process`; None after `timeout` seconds.

        Raises:
            SourceError: The source failed, or its reader crashed.
            EOFError: `interrupt` was called.
        """
        try:
            message = self._process.receive(timeout)
        except EOFError:
            raise self._crash() from None
        if message is not None and message["kind"] == "fault":
            raise _fault(message)
        if message is not None and message["kind"] == "log":
            _log.debug("%s: %s", self._name, message["text"])
        return message

    def picture(self, width: int, height: int) -> Picture:
        return self._process.picture.get(width, height)

    def interrupt(self) -> None:
        self._interrupted = True
        self._process.interrupt()

    def close(self) -> None:
        """End the reader; kill it where it does not end itself."""
        self._process.interrupt()
        if not self.hung:
            self._process.ended(_EXIT_SECONDS)
        if self._process.kill() is None:
            _log.warning("%s: its reader hangs in the kernel and was left behind", self._name)

    def _crash(self) -> Exception:
        code = None if self._interrupted else self._process.ended(_EXIT_SECONDS)
        if code is None or code >= 0:
            return EOFError()
        how = signal.Signals(-code).name if -code in signal.valid_signals() else str(code)
        return SourceUnavailableError(f"{self._name}: its reader crashed ({how})")


def _fault(message: Message) -> SourceError:
    kind = getattr(errors, message["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, SourceError)):
        kind = SourceUnavailableError
    return kind(message["message"], hint=message["hint"])
