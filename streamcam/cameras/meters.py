"""What is measured of a camera while it runs."""

from collections import deque

import numpy as np

from streamcam.types import Latency

# A minute at five frames a second.
_LATENCIES = 300

_RATE_SECONDS = 5.0


class RateMeter:
    """Events a second, over the last seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> None:
        """Note how many events there were by now."""
        self._counts.append((now, count))
        while now - self._counts[0][0] > _RATE_SECONDS:
            self._counts.popleft()

    @property
    def rate(self) -> float:
        """Events a second between the first and the last of the notes that are kept."""
        if len(self._counts) < 2:
            return 0.0
        (begin, first), (end, last) = self._counts[0], self._counts[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class LatencyMeter:
    """How long frames took, over the last few hundred."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_LATENCIES)
        self._waited: deque[float] = deque(maxlen=_LATENCIES)

    def note(self, seconds: float, waited: float) -> None:
        """Note a frame's way, and the part of it spent in the decoder."""
        self._seconds.append(seconds)
        self._waited.append(waited)

    @property
    def latency(self) -> Latency | None:
        """The percentiles, None before the first frame."""
        seconds, waited = list(self._seconds), list(self._waited)
        if not seconds:
            return None
        p50, p95 = np.percentile(seconds, (50, 95))
        return Latency(float(p50), float(p95), float(np.mean(waited)))
