"""The whole service as the page, the API and the metrics see it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamcam.cameras.manager import CameraManager
from streamcam.config import Settings
from streamcam.errors import UsageError
from streamcam.events.event_store import EventStore
from streamcam.files import free_space
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.store import JobStore
from streamcam.jobs.watcher import state_folder
from streamcam.notifications.notifiers import NotifierCounts
from streamcam.service.health import Watchdog
from streamcam.service.watcher_thread import WatcherThread
from streamcam.sinks.pictures import PreviewSink
from streamcam.types import CameraState, CameraStatus


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A file's job, and the share of it that is done, 0..1; None where unknown or not running."""

    record: JobRecord
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of one device, in bytes: used by all processes, and in total."""

    used: int
    total: int


class ServiceStatus:
    """The state of the service at this moment.

    Every method may be called from any thread, answers from memory or the job store within
    milliseconds, and never waits for a camera, the engine or a network. Texts hold no credentials.
    Those that read a store may raise `StoreError`.

    Args:
        file_progress: Returns how much of a running file is done, 0..1, given its readable path.
        notifier_counts: Returns what became of the changes of events, by receiver.

    Attributes:
        settings: Replaced when the configuration is reloaded.
        ready: Whether the service has started completely.
    """

    def __init__(
        self,
        settings: Settings,
        cameras: CameraManager,
        watchdog: Watchdog,
        file_progress: Callable[[str], float | None],
        notifier_counts: Callable[[], Sequence[NotifierCounts]],
    ) -> None:
        self.settings = settings
        self.folders: WatcherThread | None = None
        self.ready = False
        self._cameras = cameras
        self._watchdog = watchdog
        self._file_progress = file_progress
        self._notifier_counts = notifier_counts
        self._lock = threading.Lock()
        self._store: JobStore | None = None
        self._store_path: Path | None = None

    def alive(self) -> bool:
        return self._watchdog.fault is None

    def readiness(self) -> Sequence[str]:
        """Return why the service is not ready, a sentence each."""
        reasons = [] if self.ready else ["the detectors are being loaded"]
        if self._watchdog.fault is not None:
            reasons.append(self._watchdog.fault)
        if self.folders is not None and self.folders.fault is not None:
            reasons.append(self.folders.fault.message)
        return reasons + [
            f"camera {status.name} is {status.state.value}"
            for status in self.cameras()
            if status.state not in (CameraState.LIVE, CameraState.PAUSED)
        ]

    def cameras(self) -> Sequence[CameraStatus]:
        return self._cameras.statuses()

    def pause(self, camera: str, paused: bool) -> bool:
        """Pause a camera or resume it; return whether there is such a camera."""
        return self._cameras.pause(camera, paused)

    def record(self, camera: str, on: bool) -> bool:
        """Let a camera's recording rest or go on; return whether there is such a camera."""
        return self._cameras.record(camera, on)

    def preview(self, camera: str) -> PreviewSink | None:
        return self._cameras.preview(camera)

    def recordings(self, camera: str) -> Path | None:
        """Return the folder of a camera's segments; None where it is unknown or does not record."""
        plans = (each.plan for each in self._cameras.cameras)
        plan = next((plan for plan in plans if plan.name == camera), None)
        if plan is None or plan.record == "never":
            return None
        return plan.settings.output.local_folder / camera

    def events(self) -> EventStore | None:
        """Return the store of the cameras' events; None where there never was one."""
        return self._cameras.events.store()

    def jobs(self, states: Sequence[JobState], limit: int) -> Sequence[JobProgress]:
        """Return the latest jobs in these states, in any where none is named; the latest last."""
        store = self._job_store()
        return [] if store is None else [self._with_progress(j) for j in store.jobs(states, limit)]

    def job(self, number: int) -> JobProgress | None:
        store = self._job_store()
        try:
            return None if store is None else self._with_progress(store.find(str(number)))
        except UsageError:
            return None

    def job_counts(self) -> Mapping[JobState, int]:
        store = self._job_store()
        return {} if store is None else store.counts()

    def output_free_bytes(self) -> int | None:
        try:
            return free_space(self.settings.output.local_folder)
        except OSError:
            return None

    def devices_up(self) -> Mapping[str, bool]:
        """Return which of several devices work, by name; empty where one is asked for."""
        return self._cameras.devices.up()

    def gpu_memory(self) -> Mapping[str, GpuMemory]:
        """Return the memory of the GPUs in use, by name ("cuda:0"); empty without one."""
        return {name: GpuMemory(*memory) for name, memory in self._cameras.devices.memory().items()}

    def notifications(self) -> Sequence[NotifierCounts]:
        """Return what became of the changes of events, by receiver; empty without any."""
        return self._notifier_counts()

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()

    def _with_progress(self, job: JobRecord) -> JobProgress:
        running = job.state is JobState.RUNNING
        return JobProgress(job, self._file_progress(job.name) if running else None)

    def _job_store(self) -> JobStore | None:
        """Return the job store, once a watcher has made it.

        After a change of the configuration the former one stays open: a request may be reading it.
        """
        path = state_folder(self.settings) / FILE_NAME
        with self._lock:
            if self._store_path != path:
                self._store = JobStore(path) if path.exists() else None
                self._store_path = path if self._store is not None else None
            return self._store
