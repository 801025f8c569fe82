"""The service as the page, the API and the metrics see it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamcam.cameras.manager import CameraManager
from streamcam.config import Settings
from streamcam.errors import UsageError
from streamcam.files import free_space, readable
from streamcam.jobs.database import FILE_NAME
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.store import JobStore
from streamcam.jobs.watcher import state_folder
from streamcam.service.events import ServiceEvents
from streamcam.service.status import GpuMemory, JobView
from streamcam.service.watchdog import Watchdog
from streamcam.service.watched_folders import FolderWatch
from streamcam.sinks.preview import PreviewSink
from streamcam.types import CameraState, CameraStatus


class View:
    """Implements `Overview`; from any thread.

    Args:
        settings: What the user wants.
        fleet: The cameras.
        listener: Knows how far files are.
        heart: Knows whether work gets done.

    Attributes:
        settings: What the user wants; replaced when the configuration is read again.
        folders: The watched folders, None without any.
        ready: Whether the service has come up.
    """

    def __init__(
        self, settings: Settings, fleet: CameraManager, listener: ServiceEvents, heart: Watchdog
    ) -> None:
        self.settings = settings
        self.folders: FolderWatch | None = None
        self.ready = False
        self._fleet = fleet
        self._listener = listener
        self._heart = heart
        self._lock = threading.Lock()
        self._store: JobStore | None = None
        self._store_path: Path | None = None

    def alive(self) -> bool:
        """Tell whether work gets done, where there is some."""
        return self._heart.fault is None

    def readiness(self) -> Sequence[str]:
        """Return why it is not ready, a sentence each."""
        reasons = [] if self.ready else ["the detectors are being loaded"]
        if self._heart.fault is not None:
            reasons.append(self._heart.fault)
        if self.folders is not None and self.folders.fault is not None:
            reasons.append(self.folders.fault.message)
        return reasons + [
            f"camera {status.name} is {status.state.value}"
            for status in self.cameras()
            if status.state is not CameraState.LIVE
        ]

    def cameras(self) -> Sequence[CameraStatus]:
        """Return how every camera is."""
        return self._fleet.statuses()

    def preview(self, camera: str) -> PreviewSink | None:
        """Return a camera's newest result."""
        return self._fleet.preview(camera)

    def recordings(self, camera: str) -> Path | None:
        """Return the folder of a camera's segments."""
        known = {each.plan.name: each.plan for each in self._fleet.cameras}
        plan = known.get(camera)
        if plan is None or plan.record == "never":
            return None
        return plan.settings.output.folder / camera

    def jobs(self, states: Sequence[JobState], limit: int) -> Sequence[JobView]:
        """Return the latest jobs in these states."""
        store = self._job_store()
        return [] if store is None else [self._job(job) for job in store.jobs(states, limit)]

    def job(self, number: int) -> JobView | None:
        """Return the job with this number."""
        store = self._job_store()
        try:
            return None if store is None else self._job(store.find(str(number)))
        except UsageError:
            return None

    def job_counts(self) -> Mapping[JobState, int]:
        """Return how many jobs there are in each state."""
        store = self._job_store()
        return {} if store is None else store.counts()

    def output_free_bytes(self) -> int | None:
        """Return the room for results."""
        try:
            return free_space(self.settings.output.folder)
        except OSError:
            return None

    def gpu_memory(self) -> Mapping[str, GpuMemory]:
        """Return the memory of the GPUs in use."""
        return {name: GpuMemory(*memory) for name, memory in self._fleet.memory().items()}

    def close(self) -> None:
        """Close the job store."""
        with self._lock:
            if self._store is not None:
                self._store.close()

    def _job(self, job: JobRecord) -> JobView:
        running = job.state is JobState.RUNNING
        return JobView(job, self._listener.progress(readable(job.path)) if running else None)

    def _job_store(self) -> JobStore | None:
        """Return the job store, once a watcher has made it.

        One that a changed configuration left behind is not closed: somebody may be reading it.
        """
        path = state_folder(self.settings) / FILE_NAME
        with self._lock:
            if self._store_path != path:
                self._store = JobStore(path) if path.exists() else None
                self._store_path = path if self._store is not None else None
            return self._store
