"""What is known of a camera: its figures over all that it went through."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamcam.cameras.meters import LatencyMeter, RateMeter
from streamcam.cameras.sink_workers import LiveDelivery, SinkWorker
from streamcam.clock import Clock
from streamcam.errors import SourceUnavailableError, StreamcamError
from streamcam.pipeline.stream import Stream
from streamcam.sources.live import LiveSource
from streamcam.types import (
    STANDSTILL_SECONDS,
    CameraState,
    CameraStatus,
    Counts,
    FrameResult,
)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Sums of one run, or of all that have ended."""

    decoded: int = 0
    corrupt: int = 0
    received: int = 0
    explained: int = 0
    connections: int = 0
    killed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    detections: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "_Tally") -> "_Tally":
        return _Tally(
            self.decoded + other.decoded,
            self.corrupt + other.corrupt,
            self.received + other.received,
            self.explained + other.explained,
            self.connections + other.connections,
            self.killed + other.killed,
            self.dropped + other.dropped,
            self.detections + other.detections,
        )

    def counts(self) -> Counts:
        """Return what became of the frames: every one that was decoded has its place."""
        dropped = {"rate": self.decoded - self.received, **self.dropped}
        return Counts(
            decoded=self.decoded,
            explained=self.explained,
            corrupt=self.corrupt,
            dropped={cause: count for cause, count in dropped.items() if count},
            detections=dict(self.detections),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a camera is where its source does not know: between two runs, and after the last.

    Attributes:
        state: How it is.
        since: Monotonic seconds when it came into that state.
        error: Why.
    """

    state: CameraState
    since: float
    error: StreamcamError | None = None


class CameraStats:
    """Keeps a camera's figures; from any thread.

    A camera's run may end by a fault of ours and begin anew; the figures go on.

    Args:
        name: The camera's name.
        url: Where it is read from, without credentials.
        source: What it is read by first.
        clock: Where the time comes from.
    """

    def __init__(self, name: str, url: str, source: LiveSource, clock: Clock) -> None:
        self._name = name
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._past = _Tally()
        self._source = source
        self._stream: Stream | None = None
        self._delivery: LiveDelivery | None = None
        self._last: FrameResult | None = None
        self._latency = LatencyMeter()
        self._decoded_rate, self._explained_rate = RateMeter(), RateMeter()

    def begin(self, source: LiveSource, stream: Stream, delivery: LiveDelivery) -> None:
        """Note that another run begins."""
        with self._lock:
            self._past = self._tally()
            self._source, self._stream, self._delivery = source, stream, delivery

    def note(self, result: FrameResult, latency: float) -> None:
        """Note that a frame has gone out, so many seconds after its data came in."""
        with self._lock:
            self._last = result
            self._latency.note(latency, self._source.status.waited)
            self._measure()

    def status(self, sinks: Sequence[SinkWorker], standing: Standing | None = None) -> CameraStatus:
        """Return what is known at this moment.

        Args:
            sinks: The workers of the camera's sinks.
            standing: How it is, where its source does not know.
        """
        with self._lock:
            self._measure()
            tally = self._tally()
            report, info = self._source.status, self._source.info
            told = standing or self._standstill(report.state) or report
            return CameraStatus(
                name=self._name,
                url=self._url,
                state=told.state,
                since=told.since,
                error=None if told.error is None else told.error.message,
                hint=None if told.error is None else told.error.hint,
                width=info.width,
                height=info.height,
                codec=report.codec,
                frame_rate=self._decoded_rate.rate,
                explained_rate=self._explained_rate.rate,
                last_frame_age=self._last_frame_age(),
                counts=tally.counts(),
                reconnects=max(0, tally.connections - 1),
                killed=tally.killed,
                latency=self._latency.latency,
                sink_errors={sink.name: sink.error for sink in sinks},
            )

    def _tally(self) -> _Tally:
        report = self._source.status
        # In this order, so that what comes in meanwhile makes no sum negative.
        explained = self._delivery.explained if self._delivery else 0
        detections = self._delivery.detections.copy() if self._delivery else Counter()
        received = self._stream.received if self._stream else 0
        dropped = Counter(self._stream.dropped) if self._stream else Counter()
        return self._past + _Tally(
            self._source.decoded,
            self._source.corrupt,
            received,
            explained,
            report.connections,
            report.killed,
            dropped,
            detections,
        )

    def _measure(self) -> None:
        now = self._clock.monotonic()
        self._decoded_rate.note(self._past.decoded + self._source.decoded, now)
        explained = self._delivery.explained if self._delivery else 0
        self._explained_rate.note(self._past.explained + explained, now)

    def _standstill(self, state: CameraState) -> Standing | None:
        """Return how a camera is that sends the same picture again and again."""
        if self._last is None or state is not CameraState.LIVE:
            return None
        still = self._last.frame.unchanged
        if still < STANDSTILL_SECONDS:
            return None
        error = SourceUnavailableError(f"{self._name}: its picture stands still for {still:.0f} s")
        return Standing(CameraState.STALLED, self._clock.monotonic() - still, error)

    def _last_frame_age(self) -> float | None:
        if self._last is None:
            return None
        frame = self._last.frame
        return max(0.0, self._clock.monotonic() - frame.arrival) + frame.unchanged
