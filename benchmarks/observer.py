"""What benchmarks of cameras note of what comes out of them, and how they sum it up."""

import threading
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streamcam.observer import Observer
from streamcam.types import CameraStatus, FrameResult

_GLANCE_SECONDS = 0.1


@dataclass
class FrameRecorder(Observer):
    """Records the results, once measuring has started."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    passes: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ends: list[float] = field(default_factory=list)
    measuring: bool = False

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        """A frame has gone out."""
        if self.measuring:
            frame = result.frame
            self.latencies[frame.source].append(latency)
            self.passes[frame.source].append(len(self.ends) - bisect(self.ends, frame.arrival))

    def stage_measured(self, stage: str, seconds: float) -> None:
        """A batch has been through the engine, or a frame through another stage."""
        if stage == "engine":
            self.ends.append(time.monotonic())
        if self.measuring:
            self.stages[stage].append(seconds)


class HasStatuses(Protocol):
    """What knows how cameras are."""

    def statuses(self) -> list[CameraStatus]:
        """Return how all cameras are at this moment."""
        ...


def all_explained(cameras: HasStatuses, within: float) -> bool:
    """Wait until a frame of each camera has gone out: the first ones have loaded the detector.

    Returns:
        False if that took longer than `within` seconds.
    """
    wake, deadline = threading.Event(), time.monotonic() + within
    while not all(status.counts.explained for status in cameras.statuses()):
        if time.monotonic() >= deadline:
            return False
        wake.wait(_GLANCE_SECONDS)
    return True


def unaccounted(status: CameraStatus) -> int:
    """Return how many frames of a camera that has ended are neither explained nor given up."""
    counts = status.counts
    return counts.decoded - counts.explained - sum(counts.dropped.values())


def p95(values: Sequence[float]) -> float:
    """Return what 95 % of the values stay below."""
    return sorted(values)[int(0.95 * len(values))]


def ms(seconds: float) -> float:
    """Return milliseconds, for people."""
    return round(1000 * seconds, 1)
