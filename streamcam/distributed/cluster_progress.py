"""How far a distributed run is: rates of the whole and of each node, and when it may end."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from streamcam.types import Outcome

_WINDOW_SECONDS = 30.0
"""Over which rates are taken: longer than a batch of long frames, shorter than patience."""


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """The workers of one node.

    Attributes:
        sources: At work now.
        frame_rate: Explained frames a second.
        speed: Seconds of the sources' own time a second.
    """

    name: str
    workers: int
    sources: int
    frame_rate: float
    speed: float


@dataclass(frozen=True, slots=True)
class ClusterProgress:
    """The state of a distributed run.

    Attributes:
        outcomes: Sources that have ended, by outcome.
        total: Number of sources, None where they are still being listed.
        starting: Workers that are not ready yet.
        remaining: Seconds until the end at the present rate; None where that is not known.
    """

    outcomes: Mapping[Outcome, int]
    total: int | None
    starting: int
    nodes: tuple[NodeProgress, ...]
    remaining: float | None

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values())

    @property
    def frame_rate(self) -> float:
        return sum(node.frame_rate for node in self.nodes)

    @property
    def speed(self) -> float:
        return sum(node.speed for node in self.nodes)


class WindowedRate:
    """The rate of a count that only rises, over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        """Note the count at a moment, in monotonic seconds."""
        self._samples.append((now, value))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class NodeRates:
    """The frames and media seconds of one node, whose workers come and go."""

    def __init__(self) -> None:
        self._frames = 0
        self._media_seconds = 0.0
        self._frame_rate = WindowedRate()
        self._speed = WindowedRate()

    def add(self, now: float, frames: int, media_seconds: float) -> None:
        """Count what a worker has done since it last told."""
        self._frames += frames
        self._media_seconds += media_seconds
        self._frame_rate.add(now, self._frames)
        self._speed.add(now, self._media_seconds)

    def progress(self, name: str, workers: int, sources: int) -> NodeProgress:
        frame_rate, speed = self._frame_rate.per_second, self._speed.per_second
        return NodeProgress(name, workers, sources, frame_rate, speed)
