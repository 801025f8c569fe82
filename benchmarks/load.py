"""Load of a machine by a number of cameras, and its bottleneck."""

import os
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from benchmarks import processes
from benchmarks.observer import FrameRecorder, ms, p95
from streamcam.cameras.manager import CameraManager
from streamcam.observer import Observer
from streamcam.types import Picture

ENOUGH = 0.95
"""Share of the wanted frames that must come out."""

_FULL = 0.9

# A frame takes some thirty switches of Python's interpreter, in five threads: at 5 ms each, half
# of the 300 ms that a frame may take are gone.
_LATE_MS = 5.0

_GLANCE_SECONDS = 0.01

_PARTS = {
    "streamcam engine": "engine",
    "streamcam maps": "engine",
    "streamcam head": "reception",
    "streamcam camera": "drawing",
    "streamcam recording": "encoding",
}
"""What threads of ours do, by how their names begin."""


@dataclass(frozen=True)
class Load:
    """The load of a number of cameras. Shares are seconds per second, summed over threads.

    Attributes:
        cameras: How many they were.
        wanted: Explained frames a second that all of them should have.
        explained: Those that they had.
        recorded: Those that went into a recording; None where nothing is recorded.
        silent: Cameras of which nothing came out.
        p50_ms: From a frame's arrival to its result going out; None where nothing came out.
        p95_ms: What 95 % of the frames stayed below.
        frames_per_pass: Mean size of a batch.
        engine_busy: Share of the time in which the engine had a frame in hand or waiting for it.
        engine: Share of forward passes and of maps; at most 2, since two batches are in flight.
        transfer: Share of bringing pictures to the device, as the engine's thread sees it.
        drawing: Share of drawing.
        encoding: Share of writing recordings.
        late_ms: Mean delay of a thread that slept.
        cpu: Cores in use, by part. "reception" is taking over pictures from readers, "server" what
            sends the benchmark's streams.
        busy_cores: Cores in use by anybody.
        cores: Cores that there are.
        dropped: Frames given up, by cause, but for those that are not wanted.
        unaccounted: Frames of which nobody knows what became of them.
        gpu_megabytes: Memory of the GPUs in use by anybody.
    """

    cameras: int
    wanted: float
    explained: float
    recorded: float | None
    silent: int
    p50_ms: float | None
    p95_ms: float | None
    frames_per_pass: float
    engine_busy: float
    engine: float
    transfer: float
    drawing: float
    encoding: float
    late_ms: float
    cpu: Mapping[str, float]
    busy_cores: float
    cores: int
    dropped: Mapping[str, int]
    unaccounted: int
    gpu_megabytes: float

    def holds(self, bound_ms: float) -> bool:
        """Whether the results were in time."""
        return (
            self.p95_ms is not None
            and self.p95_ms <= bound_ms
            and self.least_share >= ENOUGH
            and not self.silent
            and not self.unaccounted
        )

    @property
    def least_share(self) -> float:
        """The share of the wanted frames that came out, and into a recording where there is one."""
        out = self.explained if self.recorded is None else min(self.explained, self.recorded)
        return out / self.wanted

    def wall(self) -> tuple[str, str]:
        """Name what there is too little of, and why it is thought so."""
        if self.unaccounted:
            return "unclear", f"{self.unaccounted} frames are unaccounted for"
        if self.busy_cores >= _FULL * self.cores:
            part = max(self.cpu, key=self.cpu.__getitem__)
            return part, f"{self.busy_cores} of {self.cores} cores are busy: {self._cpu_shares()}"
        if self.late_ms >= _LATE_MS:
            return (
                "interpreter",
                f"a thread waits for it for {self.late_ms} ms, and cores idle",
            )
        if self.engine_busy >= _FULL:
            part = "transfer" if self.transfer > self.engine / 2 else "engine"
            return part, f"the engine has work in hand for {self.engine_busy:.0%} of the time"
        if self.recorded is not None and self.recorded < ENOUGH * self.explained:
            return "encoding", "recordings do not keep up with what is explained"
        if self.dropped.get("output"):
            return "drawing", f"{self.dropped['output']} frames found the one before them undrawn"
        return "unclear", "cores, engine and recordings have time to spare"

    def _cpu_shares(self) -> str:
        """What the cores are busy with, in descending order."""
        parts = sorted(self.cpu, key=self.cpu.__getitem__, reverse=True)
        others = max(0.0, self.busy_cores - sum(self.cpu.values()))
        return ", ".join(
            [*(f"{part} {self.cpu[part]:.2f}" for part in parts), f"others {others:.2f}"]
        )


class Meter:
    """Measures a camera manager.

    Args:
        manager: The cameras.
        observer: Of their frames.
        server: Process id of what sends them their streams.
    """

    def __init__(self, manager: CameraManager, observer: FrameRecorder, server: int | None) -> None:
        self._manager = manager
        self._observer = observer
        self._server = server

    def measure(self, seconds: float) -> dict[str, Any]:
        """Return the values of a `Load` that are measured from outside, while all cameras run."""
        started, before = time.monotonic(), self._cpu_seconds()
        machine, dropped = processes.machine_cpu_seconds(), self._dropped()
        self._observer.measuring = True
        busy, late = self._watch(seconds)
        self._observer.measuring = False
        passed, after = time.monotonic() - started, self._cpu_seconds()
        used = processes.machine_cpu_seconds() - machine
        return {
            "engine_busy": round(busy, 3),
            "late_ms": ms(late),
            "cpu": {part: round((after[part] - before[part]) / passed, 2) for part in after},
            "busy_cores": round(used / passed, 2),
            "cores": len(os.sched_getaffinity(0)),
            "dropped": dict(self._dropped() - dropped),
            "gpu_megabytes": round(
                sum(used for used, _ in self._manager.devices.memory().values()) / 1e6
            ),
            "recorded": self._recorded(passed),
            **_figures(self._observer, passed),
        }

    def _recorded(self, passed: float) -> float | None:
        if all(camera.plan.record == "never" for camera in self._manager.cameras):
            return None
        return round(len(self._observer.stages["recording"]) / passed, 1)

    def _watch(self, seconds: float) -> tuple[float, float]:
        """Return the share of the time in which the engine has work, and the delay of a thread."""
        busy, late = [], []
        end = time.monotonic() + seconds
        while (started := time.monotonic()) < end:
            busy.append(any(one.busy for one in self._manager.devices.pipelines))
            time.sleep(_GLANCE_SECONDS)
            late.append(time.monotonic() - started - _GLANCE_SECONDS)
        return statistics.fmean(busy), statistics.fmean(late)

    def _dropped(self) -> Counter[str]:
        """What was given up so far, but for the frames that nobody wants."""
        dropped: Counter[str] = Counter()
        for status in self._manager.statuses():
            dropped.update(status.counts.dropped)
        del dropped["rate"]
        return dropped

    def _cpu_seconds(self) -> defaultdict[str, float]:
        """CPU time that was used so far, by part."""
        own, names = os.getpid(), {each.native_id: each.name for each in threading.enumerate()}
        spent: defaultdict[str, float] = defaultdict(float)
        for number, seconds in processes.thread_cpu_seconds(own).items():
            spent[_part(names.get(number))] += seconds
        for reader in processes.workers(own):
            spent["decoding"] += processes.cpu_seconds(reader)
        if self._server is not None:
            spent["server"] += processes.cpu_seconds(self._server)
        return spent


def _part(thread: str | None) -> str:
    """Return what a thread of this process does; those that Python does not know are torch's."""
    if thread is None:
        return "engine"
    return _PARTS.get(" ".join(thread.split()[:2]), "rest")


def _figures(observer: FrameRecorder, passed: float) -> dict[str, Any]:
    """Return the values of a `Load` that come from the stages."""
    latencies = [each for camera in observer.latencies.values() for each in camera]

    def share(stage: str) -> float:
        return round(sum(observer.stages[stage]) / passed, 2)

    return {
        "explained": round(len(latencies) / passed, 1),
        "p50_ms": ms(statistics.median(latencies)) if latencies else None,
        "p95_ms": ms(p95(latencies)) if latencies else None,
        "frames_per_pass": round(len(latencies) / max(1, len(observer.stages["engine"])), 1),
        "engine": share("engine"),
        "transfer": share("transfer"),
        "drawing": share("render"),
        "encoding": share("recording"),
    }


@contextmanager
def told_of_transfers(observer: Observer) -> Iterator[None]:
    """Measure how long uploads to the device take, which the pipeline does not measure."""
    from streamcam.vision.models.detector import Detector

    upload = Detector.upload

    def timed(detector: Detector, pictures: Sequence[Picture]) -> list[Any]:
        started = time.monotonic()
        uploaded = upload(detector, pictures)
        observer.stage_measured("transfer", time.monotonic() - started)
        return uploaded

    with patch.object(Detector, "upload", timed):
        yield
