"""A live source: one connection after the other, for as long as anybody wants it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from streamcam.clock import Clock
from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.retry import Backoff
from streamcam.sources.base import Selector
from streamcam.sources.live.address import Address
from streamcam.sources.live.connection import Connection
from streamcam.sources.live.stall import StallDetector, Timeouts
from streamcam.types import CameraState, Frame, SourceInfo
from streamcam.worker_process import Message

# A connection that held for so long was a good one: the next loss is tried again soon.
_GOOD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """How a live source is at this moment.

    Attributes:
        state: How it is.
        since: Monotonic seconds when it came into that state.
        error: Why it is not live, None while it is.
        retry_in: Seconds between the loss and the next attempt, while it backs off.
        connections: How often it answered.
        killed: How many of its readers hung and had to be killed.
        codec: What it sends, None before the first connection.
        waited: Seconds that the last frame spent in the decoder.
    """

    state: CameraState
    since: float
    error: SourceError | None = None
    retry_in: float | None = None
    connections: int = 0
    killed: int = 0
    codec: str | None = None
    waited: float = 0.0


class LiveSource:
    """A camera or stream; connects again whenever it is lost.

    Each connection is read by a process of its own (`capture_process`), which can be killed
    whatever hangs in it. A frame's `index` and `time` go on over connections; its `pts` and
    `time_base` are the connection's own; the first of each is marked as a discontinuity. `index`
    counts the good frames: damaged ones are left out and counted as corrupt.

    Args:
        name: Its id.
        address: Where it is read from.
        patience: How long it is waited for.
        reconnect: Whether to connect again; otherwise the first loss is raised.
        on_change: Called after each change of its state, from the thread that iterates.
        clock: Where the time comes from.
        backoff: How long to pause between attempts.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        patience: Timeouts | None = None,
        reconnect: bool = True,
        on_change: Callable[[Report], None] = lambda _: None,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._name = name
        self._address = address
        self._patience = patience or Timeouts()
        self._reconnect = reconnect
        self._on_change = on_change
        self._clock = clock or Clock()
        self._backoff = backoff or Backoff()
        self._interrupted = threading.Event()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._origin: float | None = None
        self._before = self._totals = (0, 0)
        self._report = Report(CameraState.CONNECTING, self._clock.monotonic())
        self._info = SourceInfo(name, 0, 0, Fraction(1, 1000), live=True)

    @property
    def info(self) -> SourceInfo:
        """What is known of the source; its size is 0 x 0 before the first frame."""
        return self._info

    @property
    def report(self) -> Report:
        """How it is at this moment. From any thread."""
        return self._report

    @property
    def decoded(self) -> int:
        """How many good frames were decoded so far, over all connections."""
        return self._totals[0]

    @property
    def corrupt(self) -> int:
        """How many packets or frames were refused or marked as damaged so far."""
        return self._totals[1]

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames as they come; a slow caller gets the newest next.

        Args:
            selector: Decides by `next_due` which frames come; `wants` is told of those alone.
            every: Not for live sources: what nobody wants does not leave the reader.

        Raises:
            SourceError: The source was lost, and is not to be connected again.
        """
        if every:
            raise ValueError("a live source gives the wanted frames only")
        while not self._interrupted.is_set():
            try:
                yield from self._connected(selector)
            except SourceError as error:
                self._lose(error)
            else:
                break
        self._change(CameraState.STOPPED)

    def interrupt(self) -> None:
        """Make `frames` end soon, from any thread, without an error."""
        with self._lock:
            self._interrupted.set()
            if self._connection is not None:
                self._connection.interrupt()

    def close(self) -> None:
        """Do nothing: a connection ends with the iteration that opened it."""

    def _connected(self, selector: Selector) -> Iterator[Frame]:
        """Yield the frames of one connection; end when it is over for good.

        Raises:
            SourceError: It was lost.
        """
        self._change(CameraState.CONNECTING)
        connection = self._connect()
        try:
            yield from self._received(connection, selector)
        except EOFError:
            if not self._interrupted.is_set():
                raise SourceUnavailableError(f"{self._name}: its reader ended") from None
        finally:
            with self._lock:
                self._connection = None
            connection.close()
            self._before = self._totals

    def _connect(self) -> Connection:
        with self._lock:
            self._connection = Connection(self._name, self._address, self._origin)
            if self._interrupted.is_set():
                self._connection.interrupt()
            return self._connection

    def _received(self, connection: Connection, selector: Selector) -> Iterator[Frame]:
        watch = StallDetector(self._name, self._patience, self._clock.monotonic())
        connection.want(selector.next_due)
        last: tuple[int, int] | None = None
        for message in self._messages(connection, watch):
            if message["kind"] == "opened":
                self._opened(message, watch)
            elif message["kind"] == "alive":
                self._heard(message, watch)
            elif message["kind"] == "frame":
                self._heard(message, watch)
                frame = self._frame(message, connection, last)
                if selector.wants(frame.index, frame.time):
                    last = (self._info.width, self._info.height)
                    yield frame
                # Not before the caller is ready: what it gets then is new.
                connection.want(selector.next_due)

    def _messages(self, connection: Connection, watch: StallDetector) -> Iterator[Message]:
        """Yield what the reader tells, until it says that the source is over."""
        while True:
            message = connection.next(watch.left(self._clock.monotonic()))
            if message is None:
                self._look(connection, watch)
            elif message["kind"] == "end":
                return
            else:
                yield message

    def _look(self, connection: Connection, watch: StallDetector) -> None:
        """Do what is due when nothing came: mark the source as stalled, or give up."""
        now = self._clock.monotonic()
        try:
            watch.check(now)
        except SourceUnavailableError:
            connection.give_up()
            self._report = replace(self._report, killed=self._report.killed + 1)
            raise
        if watch.stalled(now) and self._report.state is not CameraState.STALLED:
            error = SourceUnavailableError(f"{self._name}: is connected, but sends no picture")
            self._change(CameraState.STALLED, error)

    def _opened(self, message: Message, watch: StallDetector) -> None:
        watch.opened(self._clock.monotonic())
        connections = self._report.connections + 1
        self._report = replace(self._report, connections=connections, codec=message["codec"])
        rate = message["rate"]
        self._info = replace(self._info, frame_rate=Fraction(*rate) if rate else None)

    def _heard(self, message: Message, watch: StallDetector) -> None:
        watch.heard(message["decoded"], self._clock.monotonic())
        decoded, corrupt = self._before
        self._totals = (decoded + message["decoded"], corrupt + message["corrupt"])
        if watch.live:
            self._change(CameraState.LIVE)

    def _frame(
        self, message: Message, connection: Connection, last: tuple[int, int] | None
    ) -> Frame:
        """Return the frame that was announced.

        Args:
            message: The announcement.
            connection: What it came from.
            last: Width and height of the frame before it, None for the connection's first.
        """
        arrival, size = message["arrival"], (message["width"], message["height"])
        if self._origin is None:
            self._origin = arrival - message["time"]
        time_base = Fraction(*message["time_base"])
        self._info = replace(self._info, width=size[0], height=size[1], time_base=time_base)
        self._report = replace(self._report, waited=message["waited"])
        age = timedelta(seconds=self._clock.monotonic() - arrival)
        return Frame(
            source=self._name,
            index=self.decoded - 1,
            pts=message["pts"],
            time_base=time_base,
            time=message["time"],
            picture=connection.picture(*size),
            time_utc=self._clock.utc() - age,
            discontinuity=size != last,
            arrival=arrival,
            unchanged=message["unchanged"],
        )

    def _lose(self, error: SourceError) -> None:
        """Pause before the next attempt.

        Raises:
            SourceError: There is to be none.
        """
        if self._interrupted.is_set():
            return
        good = self._report.state in (CameraState.LIVE, CameraState.STALLED)
        if good and self._clock.monotonic() - self._report.since >= _GOOD_SECONDS:
            self._backoff.reset()
        if not self._reconnect:
            self._change(CameraState.STOPPED, error)
            raise error
        # Reports are kept for long, and a traceback would keep the last picture with them.
        error.__context__ = error.__cause__ = error.__traceback__ = None
        pause = self._backoff.next()
        self._change(CameraState.BACKING_OFF, error, pause)
        self._interrupted.wait(pause)

    def _change(
        self, state: CameraState, error: SourceError | None = None, pause: float | None = None
    ) -> None:
        if state is self._report.state and error is self._report.error:
            return
        if state is CameraState.CONNECTING:
            error = self._report.error
        self._report = replace(
            self._report,
            state=state,
            since=self._clock.monotonic(),
            error=error,
            retry_in=pause,
        )
        self._on_change(self._report)
