"""A service on a fake: real pictures, files and job store, but a play that the tests direct."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamcam.config import Settings
from streamcam.config.config_file import ConfigFile
from streamcam.events.event_store import EventStore
from streamcam.jobs.job_record import JobState
from streamcam.jobs.store import JobStore
from streamcam.notifications.notifiers import NotifierCounts
from streamcam.regions import Direction, RegionCounts, ZoneCounts
from streamcam.render import annotate
from streamcam.service.region_editor import RegionEditor
from streamcam.service.service_status import GpuMemory, JobProgress, ServiceStatus
from streamcam.sinks.pictures import PreviewSink
from streamcam.types import CameraState, CameraStatus, Counts, FrameResult, Latency, Picture
from tests.sinks.items import PERSON, explained, frame

SIZE = (320, 180)

NO_FILE = RegionEditor(ConfigFile(None, {}, {}), lambda settings: settings, lambda: None)
"""Of a service that runs without a configuration file."""

COUNTS = Counts(1000, explained=400, corrupt=3, dropped={"busy": 590}, detections={"cat": 7})

REGIONS = RegionCounts(
    zones={"door": ZoneCounts(2, {"person": 4}, {"person": 50.0})},
    lines={"gate": {Direction.IN: {"person": 3}, Direction.OUT: {}}},
)


def camera(name: str, state: CameraState = CameraState.LIVE) -> CameraStatus:
    """A camera in good order, as far as its state lets it be."""
    live = state is CameraState.LIVE
    return CameraStatus(
        name=name,
        url=f"rtsp://10.0.0.5:554/{name}",
        state=state,
        since=time.monotonic() - 60,
        error=None if live else f"camera {name}: no answer from 10.0.0.5",
        hint=None if live else "Is it switched on?",
        width=SIZE[0],
        height=SIZE[1],
        codec="h264",
        frame_rate=25.0 if live else 0.0,
        explained_rate=5.0 if live else 0.0,
        last_frame_age=0.1 if live else 75.0,
        counts=COUNTS,
        regions=REGIONS,
        reconnects=2,
        latency=Latency(0.18, 0.31, 0.04),
        sink_errors={"recording": None, "publishing": "the server refused it"},
    )


def coloured(colour: Sequence[int]) -> FrameResult:
    """An explained frame of one colour."""
    width, height = SIZE
    shown = np.full((height, width, 3), colour, np.uint8)
    person = replace(PERSON, box=(40.0, 20.0, 140.0, 170.0))
    return explained(frame(1, shown=shown), [person], 0.0123)


class FakeStatus(ServiceStatus):
    """A status whose answers tests set."""

    def __init__(self, store: JobStore | None = None) -> None:
        self._store = store
        self.settings = Settings()
        self.statuses: dict[str, CameraStatus] = {}
        self.previews: dict[str, PreviewSink] = {}
        self.requested: dict[str, float] = {}
        self.recorded: dict[str, Path] = {}
        self.event_store: EventStore | None = None
        self.progress: dict[int, float] = {}
        self.reasons: list[str] = []
        self.commands: list[tuple[str, str, bool]] = []
        self.told: list[NotifierCounts] = []
        self.is_alive = True

    def add(self, name: str, state: CameraState = CameraState.LIVE) -> PreviewSink:
        self.statuses[name] = camera(name, state)
        self.previews[name] = PreviewSink(_plain)
        return self.previews[name]

    def change(self, name: str, state: CameraState) -> None:
        self.statuses[name] = camera(name, state)

    def remove(self, name: str) -> None:
        del self.statuses[name], self.previews[name]

    def pause(self, camera: str, paused: bool) -> bool:
        self.commands.append(("pause", camera, paused))
        return camera in self.statuses

    def record(self, camera: str, on: bool) -> bool:
        self.commands.append(("record", camera, on))
        return camera in self.statuses

    def notifications(self) -> Sequence[NotifierCounts]:
        return self.told

    def alive(self) -> bool:
        return self.is_alive

    def readiness(self) -> Sequence[str]:
        return self.reasons

    def cameras(self) -> Sequence[CameraStatus]:
        return list(self.statuses.values())

    def preview(self, camera: str) -> PreviewSink | None:
        self.requested[camera] = time.monotonic()
        return self.previews.get(camera)

    def is_watched(self, camera: str) -> bool:
        """Whether its preview was asked for within the last second."""
        return time.monotonic() - self.requested.get(camera, -1.0) < 1.0

    def recordings(self, camera: str) -> Path | None:
        return self.recorded.get(camera)

    def events(self) -> EventStore | None:
        return self.event_store

    def jobs(self, states: Sequence[JobState], limit: int) -> Sequence[JobProgress]:
        found = [] if self._store is None else self._store.jobs(states, limit)
        return [JobProgress(job, self.progress.get(job.id)) for job in found]

    def job(self, number: int) -> JobProgress | None:
        return next((job for job in self.jobs((), 1000) if job.record.id == number), None)

    def job_counts(self) -> Mapping[JobState, int]:
        return {} if self._store is None else self._store.counts()

    def output_free_bytes(self) -> int | None:
        return 250_000_000_000

    def devices_up(self) -> Mapping[str, bool]:
        return {"cuda:0": True, "cuda:1": False}

    def gpu_memory(self) -> Mapping[str, GpuMemory]:
        return {"cuda:0": GpuMemory(3_000_000_000, 24_000_000_000)}


def _plain(result: FrameResult) -> Picture:
    return annotate(result)
