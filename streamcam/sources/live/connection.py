"""One connection to a live source, read by a process of its own."""

import logging
import math
import signal

from streamcam import errors
from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.sources.live.address import Address
from streamcam.types import Picture
from streamcam.worker_process import Message, WorkerProcess

_log = logging.getLogger(__name__)

_READER = "streamcam.sources.live.capture_process"

# A reader that is not stuck takes leave with its next packet.
_LEAVE_SECONDS = 0.5


class Connection:
    """The parent's end of a reader. For one thread, but for `interrupt`.

    Args:
        name: The source's name for people.
        address: Where it is read from.
        origin: Monotonic seconds of the source's first frame, None before it.

    Raises:
        SourceUnavailableError: The machine has no room for a reader.
    """

    def __init__(self, name: str, address: Address, origin: float | None) -> None:
        self._name = name
        self._hung = False
        self._interrupted = False
        order = {
            "name": name,
            "address": address.as_order(),
            "origin": origin,
            "debug": _log.isEnabledFor(logging.DEBUG),
        }
        try:
            self._child = WorkerProcess(_READER, order)
        except OSError as error:
            raise SourceUnavailableError(
                f"{name}: its reader cannot be started: {error.strerror}"
            ) from error

    def want(self, due: float) -> None:
        """Ask for the first frame whose time is not before `due`; for none where it is `inf`."""
        # JSON knows no infinity.
        self._child.send({"due": None if due == math.inf else max(0.0, due)})

    def next(self, timeout: float) -> Message | None:
        """Return the next message of `capture_process`; None where none comes.

        Raises:
            SourceError: The source failed, or its reader crashed.
            EOFError: Somebody interrupted.
        """
        try:
            message = self._child.receive(timeout)
        except EOFError:
            raise self._crash() from None
        if message is not None and message["kind"] == "fault":
            raise _fault(message)
        if message is not None and message["kind"] == "log":
            _log.debug("%s: %s", self._name, message["text"])
        return message

    def picture(self, width: int, height: int) -> Picture:
        """Return a copy of the frame that was announced last."""
        return self._child.picture.get(width, height)

    def give_up(self) -> None:
        """Note that the reader hangs: it will be killed without waiting for it."""
        self._hung = True

    def interrupt(self) -> None:
        """Make `next` end, and the reader take leave. From any thread."""
        self._interrupted = True
        self._child.interrupt()

    def close(self) -> None:
        """End the reader, whatever it does."""
        self._child.interrupt()
        if not self._hung:
            self._child.ended(_LEAVE_SECONDS)
        if self._child.kill() is None:
            _log.warning("%s: its reader hangs in the kernel and was left behind", self._name)

    def _crash(self) -> Exception:
        """Return why the messages ended."""
        code = None if self._interrupted else self._child.ended(_LEAVE_SECONDS)
        if code is None or code >= 0:
            return EOFError()
        how = signal.Signals(-code).name if -code in signal.valid_signals() else str(code)
        return SourceUnavailableError(f"{self._name}: its reader crashed ({how})")


def _fault(message: Message) -> SourceError:
    """Return the error that a reader told of."""
    kind = getattr(errors, message["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, SourceError)):
        kind = SourceUnavailableError
    return kind(message["message"], hint=message["hint"])
