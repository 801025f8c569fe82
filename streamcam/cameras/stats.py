"""What is measured of a camera, over all its runs."""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamcam.cameras.sink_workers import LiveDelivery, SinkWorker
from streamcam.clock import Clock
from streamcam.errors import SourceUnavailableError
from streamcam.pipeline.stream import Stream
from streamcam.sources.live import LiveSource, LiveStatus
from streamcam.types import (
    STANDSTILL_SECONDS,
    CameraState,
    CameraStatus,
    Counts,
    FrameResult,
    Latency,
)

# A minute at five frames a second.
_LATENCIES = 300

_RATE_SECONDS = 5.0


class RateMeter:
    """Events a second over the last seconds, from their count at several moments."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> None:
        self._counts.append((now, count))
        while now - self._counts[0][0] > _RATE_SECONDS:
            self._counts.popleft()

    @property
    def rate(self) -> float:
        if len(self._counts) < 2:
            return 0.0
        (begin, first), (end, last) = self._counts[0], self._counts[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class LatencyMeter:
    """Latency over the last few hundred frames; of each the part spent in the decoder."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_LATENCIES)
        self._waited: deque[float] = deque(maxlen=_LATENCIES)

    def note(self, seconds: float, waited: float) -> None:
        self._seconds.append(seconds)
        self._waited.append(waited)

    @property
    def latency(self) -> Latency | None:
        seconds, waited = list(self._seconds), list(self._waited)
        if not seconds:
            return None
        p50, p95 = np.percentile(seconds, (50, 95))
        return Latency(float(p50), float(p95), float(np.mean(waited)))


@dataclass(frozen=True, slots=True)
class _Tally:
    decoded: int = 0
    corrupt: int = 0
    received: int = 0
    explained: int = 0
    without_map: int = 0
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
            self.without_map + other.without_map,
            self.connections + other.connections,
            self.killed + other.killed,
            self.dropped + other.dropped,
            self.detections + other.detections,
        )

    def counts(self) -> Counts:
        dropped = {"rate": self.decoded - self.received, **self.dropped}
        return Counts(
            decoded=self.decoded,
            explained=self.explained,
            corrupt=self.corrupt,
            dropped={cause: count for cause, count in dropped.items() if count},
            detections=dict(self.detections),
            without_map=self.without_map,
        )


class CameraStats:
    """Counts and rates of a camera over all its runs; from any thread."""

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
        with self._lock:
            self._past = self._tally()
            self._source, self._stream, self._delivery = source, stream, delivery

    def note(self, result: FrameResult, latency: float) -> None:
        """Note a frame that was delivered `latency` seconds after its data came in."""
        with self._lock:
            self._last = result
            self._latency.note(latency, self._source.status.waited)
            self._measure()

    def status(
        self, sinks: Sequence[SinkWorker], override: LiveStatus | None = None
    ) -> CameraStatus:
        """Return the camera's status; `override` gives its state where its source does not know."""
        with self._lock:
            self._measure()
            tally = self._tally()
            live, info = self._source.status, self._source.info
            shown = override or self._standstill(live.state) or live
            return CameraStatus(
                name=self._name,
                url=self._url,
                state=shown.state,
                since=shown.since,
                error=None if shown.error is None else shown.error.message,
                hint=None if shown.error is None else shown.error.hint,
                width=info.width,
                height=info.height,
                codec=live.codec,
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
        live = self._source.status
        # In this order, so that what comes in meanwhile makes no sum negative.
        explained = self._delivery.explained if self._delivery else 0
        without_map = self._delivery.without_map if self._delivery else 0
        detections = self._delivery.detections.copy() if self._delivery else Counter()
        received = self._stream.received if self._stream else 0
        dropped = Counter(self._stream.dropped) if self._stream else Counter()
        return self._past + _Tally(
            self._source.decoded,
            self._source.corrupt,
            received,
            explained,
            without_map,
            live.connections,
            live.killed,
            dropped,
            detections,
        )

    def _measure(self) -> None:
        now = self._clock.monotonic()
        self._decoded_rate.note(self._past.decoded + self._source.decoded, now)
        explained = self._delivery.explained if self._delivery else 0
        self._explained_rate.note(self._past.explained + explained, now)

    def _standstill(self, state: CameraState) -> LiveStatus | None:
        if self._last is None or state is not CameraState.LIVE:
            return None
        still = self._last.frame.unchanged
        if still < STANDSTILL_SECONDS:
            return None
        error = SourceUnavailableError(f"{self._name}: its picture stands still for {still:.0f} s")
        return LiveStatus(CameraState.STALLED, self._clock.monotonic() - still, error)

    def _last_frame_age(self) -> float | None:
        if self._last is None:
            return None
        frame = self._last.frame
        return max(0.0, self._clock.monotonic() - frame.arrival) + frame.unchanged
