"""One connection to a live source, read by a process of its own, and its stall detector."""

import logging
import math
import signal
from dataclasses import dataclass

from streamcam import errors
from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.sources.live.address import Address
from streamcam.types import Picture
from streamcam.worker_process import Message, WorkerProcess

_log = logging.getLogger(__name__)

_READER = "streamcam.sources.live.capture_process"

# A reader that does not hang ends at its next packet.
_EXIT_SECONDS = 0.5

# A stall lasts several usual intervals: one frame in ten seconds has not stalled after three.
_INTERVALS = 3.0
_WEIGHT = 0.2


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
        """Whether a picture has come."""
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
        """Return whether pictures came, but none for too long."""
        return self.live and now >= self._stall_moment

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the next stall or timeout."""
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
    """The parent's end of a reader. For one thread, except `interrupt`.

    Args:
        name: The source's name for people.
        address: The source.
        origin: Monotonic seconds of the source's first frame, None before it.

    Raises:
        SourceUnavailableError: The reader's process cannot be started.
    """

    def __init__(self, name: str, address: Address, origin: float | None) -> None:
        self._name = name
        self._hung = False
        self._interrupted = False
        order = {
            "name": name,
            "address": address.to_message(),
            "origin": origin,
            "debug": _log.isEnabledFor(logging.DEBUG),
        }
        try:
            self._process = WorkerProcess(_READER, order)
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

    def mark_hung(self) -> None:
        """Record that the reader hangs: `close` kills it without waiting."""
        self._hung = True

    def interrupt(self) -> None:
        """Make `next` and the reader end. From any thread."""
        self._interrupted = True
        self._process.interrupt()

    def close(self) -> None:
        """End the reader; kill it where it does not end itself."""
        self._process.interrupt()
        if not self._hung:
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
