"""A live source: connects, reads frames, and connects again after a failure."""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from functools import partial

from streamcam.clock import Clock
from streamcam.errors import SourceError, SourceUnavailableError, StreamcamError
from streamcam.retry import Backoff
from streamcam.sources.base import DecodedFrame, Selector, sampled
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.live.capture_connection import (
    Address,
    CaptureConnection,
    StallDetector,
    Timeouts,
)
from streamcam.sources.live.connection_limiter import ConnectionLimiter
from streamcam.types import CameraState, Frame, SourceInfo
from streamcam.worker_process import Message

# After a connection that lasted this long, the first attempt to reconnect comes soon.
_STABLE_SECONDS = 5.0

# Seconds between the times of two frames at least.
_MIN_STEP = 1e-3

_limiter = ConnectionLimiter()


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """State of a live source."""

    state: CameraState
    since: float  # monotonic seconds when it came into that state
    error: StreamcamError | None = None  # why it is not live, None while it is
    connections: int = 0  # number of connections so far
    killed: int = 0  # number of readers that hung and were killed
    codec: str | None = None  # what it sends, None before the first connection
    waited: float = 0.0  # seconds that the last frame spent in the decoder


class LiveSource:
    """A camera or stream; connects again whenever it is lost.

    Each connection is read by a process of its own (`capture_process`), which can be killed
    whatever hangs in it. A frame's `index` and `time` go on over connections; its `pts` and
    `time_base` are the connection's own; the first of each is marked as a discontinuity. `index`
    counts the good frames: damaged ones are left out and counted as corrupt.

    Args:
        limits: Of its frames' pixels; a larger one is a fault of the source.
        reconnect: Whether to connect again; otherwise the first loss is raised.
        on_change: Called after each change of its state, from the thread that iterates.
        limiter: Paces its connections; by default together with all others of this process.

    Attributes:
        info: See `Source`; the size is 0 x 0 before the first frame.
        status: The current state.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits = DEFAULT_LIMITS,
        reconnect: bool = True,
        on_change: Callable[[LiveStatus], None] = lambda _: None,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        limiter: ConnectionLimiter | None = None,
    ) -> None:
        self._name = name
        self._address = address
        self._timeouts = timeouts or Timeouts()
        self._limits = limits
        self._reconnect = reconnect
        self._on_change = on_change
        self._clock = clock or Clock()
        self._backoff = backoff or Backoff()
        self._limiter = limiter or _limiter
        self._interrupted = threading.Event()
        self._lock = threading.Lock()
        self._connection: CaptureConnection | None = None
        self._origin: float | None = None
        self._time = -math.inf  # of the latest frame
        self.decoded = self.corrupt = 0
        self._before = (0, 0)  # at the begin of the connection
        self.status = LiveStatus(CameraState.CONNECTING, self._clock.monotonic())
        self.info = SourceInfo(name, 0, 0, Fraction(1, 1000), live=True)

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames as they come; a slow caller gets the newest next.

        `selector.wants` is asked only about frames requested by its `next_due`. Unwanted frames do
        not leave the reader: `every` is not for live sources.

        Raises:
            SourceError: The source was lost, and `reconnect` is false.
        """
        if every:
            raise ValueError("a live source gives the wanted frames only")
        while not self._interrupted.is_set():
            try:
                yield from self._connected(selector)
            except SourceError as error:
                self._back_off(error)
            else:
                break
        self._change(CameraState.STOPPED)

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted.set()
            if self._connection is not None:
                self._connection.interrupt()
        self._limiter.wake()

    def close(self) -> None:
        """Do nothing: a connection ends with the iteration that opened it."""

    def _connected(self, selector: Selector) -> Iterator[Frame]:
        """Yield the frames of one connection until it fails, or a generated source is over."""
        self._change(CameraState.CONNECTING)
        if not self._limiter.acquire(self, self._interrupted.is_set):
            return
        try:
            connection = self._connect()
            self._limiter.started(self)
            yield from self._read(connection, selector)
        finally:
            self._limiter.release(self)

    def _read(self, connection: CaptureConnection, selector: Selector) -> Iterator[Frame]:
        try:
            # Its reader runs by now: the timeouts are for the camera alone.
            stall = StallDetector(self._name, self._timeouts, self._clock.monotonic())
            frames = self._received(connection, selector, stall)
            yield from sampled(frames, selector, source=self._name, clock=self._clock)
        except EOFError:
            if not self._interrupted.is_set():
                raise SourceUnavailableError(f"{self._name}: its reader ended") from None
        finally:
            with self._lock:
                self._connection = None
            connection.close()
            self._before = (self.decoded, self.corrupt)

    def _connect(self) -> CaptureConnection:
        # Not in the lock: the reader may take a while to start, and `interrupt` does not wait.
        connection = CaptureConnection(self._name, self._address, self._origin, self._limits)
        with self._lock:
            self._connection = connection
            if self._interrupted.is_set():
                connection.interrupt()
        return connection

    def _received(
        self, connection: CaptureConnection, selector: Selector, stall: StallDetector
    ) -> Iterator[DecodedFrame]:
        """Yield the requested frames; the next one is requested when the caller continues."""
        connection.request(selector.next_due)
        while True:
            message = connection.next(stall.seconds_left(self._clock.monotonic()))
            if message is None:
                self._check_stall(connection, stall)
            elif message["kind"] == "end":
                return
            elif message["kind"] == "opened":
                self._note_opened(message, stall)
            elif message["kind"] == "alive":
                self._note_counts(message, stall)
            elif message["kind"] == "frame":
                self._note_counts(message, stall)
                yield self._frame(message, connection)
                # Not before the caller is ready, so that it gets the newest frame.
                connection.request(selector.next_due)

    def _check_stall(self, connection: CaptureConnection, stall: StallDetector) -> None:
        now = self._clock.monotonic()
        try:
            stall.check(now)
        except SourceUnavailableError:
            connection.hung = True
            self.status = replace(self.status, killed=self.status.killed + 1)
            raise
        if stall.stalled(now) and self.status.state is not CameraState.STALLED:
            error = SourceUnavailableError(f"{self._name}: is connected, but sends no picture")
            self._change(CameraState.STALLED, error)

    def _note_opened(self, message: Message, stall: StallDetector) -> None:
        self._limiter.release(self)
        stall.opened(self._clock.monotonic())
        connections = self.status.connections + 1
        self.status = replace(self.status, connections=connections, codec=message["codec"])
        rate = message["rate"]
        self.info = replace(self.info, frame_rate=Fraction(rate) if rate else None)

    def _note_counts(self, message: Message, stall: StallDetector) -> None:
        stall.received(message["decoded"], self._clock.monotonic())
        decoded, corrupt = self._before
        self.decoded = decoded + message["decoded"]
        self.corrupt = corrupt + message["corrupt"]
        if stall.live:
            self._change(CameraState.LIVE)

    def _frame(self, message: Message, connection: CaptureConnection) -> DecodedFrame:
        """Return the frame of a message; its picture is valid until the next request."""
        arrival, size = message["arrival"], (message["width"], message["height"])
        if self._origin is None:
            self._origin = arrival - message["time"]
        # A stream may run ahead of the clock that the first frame after a loss is timed by.
        self._time = max(message["time"], self._time + _MIN_STEP)
        time_base = Fraction(message["time_base"])
        self.info = replace(self.info, width=size[0], height=size[1], time_base=time_base)
        self.status = replace(self.status, waited=message["waited"])
        age = timedelta(seconds=self._clock.monotonic() - arrival)
        return DecodedFrame(
            index=self.decoded - 1,
            pts=message["pts"],
            time_base=time_base,
            time=self._time,
            picture=partial(connection.picture, *size),
            size=size,
            arrival=arrival,
            time_utc=self._clock.utc() - age,
            unchanged=message["unchanged"],
        )

    def _back_off(self, error: SourceError) -> None:
        """Pause before the next attempt; raise the error where it is not to reconnect."""
        if self._interrupted.is_set():
            return
        connected = self.status.state in (CameraState.LIVE, CameraState.STALLED)
        if connected and self._clock.monotonic() - self.status.since >= _STABLE_SECONDS:
            self._backoff.reset()
        if not self._reconnect:
            self._change(CameraState.STOPPED, error)
            raise error
        # Reports live long, and a traceback would keep the last picture in memory.
        error.__context__ = error.__cause__ = error.__traceback__ = None
        pause = self._backoff.next()
        self._change(CameraState.BACKING_OFF, error)
        self._interrupted.wait(pause)

    def _change(self, state: CameraState, error: StreamcamError | None = None) -> None:
        if state is self.status.state and error is self.status.error:
            return
        if state is CameraState.CONNECTING:
            error = self.status.error
        since = self._clock.monotonic()
        self.status = replace(self.status, state=state, since=since, error=error)
        self._on_change(self.status)
