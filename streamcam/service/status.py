"""What the page, the API and the metrics ask of whoever runs cameras and folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.sinks.preview import PreviewSink
from streamcam.types import CameraStatus


@dataclass(frozen=True, slots=True)
class JobView:
    """A file's job, and how far it is.

    Attributes:
        record: What the job store knows of it.
        progress: Share of a running job that is done, 0..1; None where unknown or not running.
    """

    record: JobRecord
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of one device, in bytes.

    Attributes:
        used: By all processes.
        total: There is.
    """

    used: int
    total: int


class Overview(Protocol):
    """The whole service as seen from outside, at this moment.

    Every method may be called from any thread, answers from memory or the job store within
    milliseconds, and never waits for a camera, the engine or a network. Texts hold no credentials.
    Those that read the job store may raise `JobStoreError`.
    """

    def alive(self) -> bool:
        """Tell whether the service's own threads still run; if not, it wants to be restarted."""
        ...

    def readiness(self) -> Sequence[str]:
        """Return why it is not ready, a sentence each: engine not warm, a camera down; or none."""
        ...

    def cameras(self) -> Sequence[CameraStatus]:
        """Return how every camera is, in the order in which they are shown."""
        ...

    def preview(self, camera: str) -> PreviewSink | None:
        """Return where a camera's newest picture and result are; None for an unknown camera."""
        ...

    def recordings(self, camera: str) -> Path | None:
        """Return the folder of a camera's segments; None where it is unknown or does not record."""
        ...

    def jobs(self, states: Sequence[JobState], limit: int) -> Sequence[JobView]:
        """Return the latest jobs in these states, of any where none is named; the latest last."""
        ...

    def job(self, number: int) -> JobView | None:
        """Return the job with this number, None where there is none."""
        ...

    def job_counts(self) -> Mapping[JobState, int]:
        """Return how many jobs there are in each state."""
        ...

    def output_free_bytes(self) -> int | None:
        """Return the room for results; None where it cannot be told."""
        ...

    def gpu_memory(self) -> Mapping[str, GpuMemory]:
        """Return the memory of the devices in use, by name ("cuda:0"); empty without a GPU."""
        ...
