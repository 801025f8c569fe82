"""The API's responses: their models, and how they are made from the service's status."""

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from streamcam.clock import Clock
from streamcam.errors import StreamcamError
from streamcam.escapes import printable
from streamcam.files import readable
from streamcam.regions import Direction
from streamcam.service.http.video_timeline import Period, Timeline, condensed, start_of
from streamcam.service.service_status import JobProgress, ServiceStatus
from streamcam.sinks.pictures import LatestResult
from streamcam.sinks.records import record
from streamcam.sinks.registry import media_types
from streamcam.types import CameraState, CameraStatus
from streamcam.urls import redacted_url
from streamcam.version import __version__

# Cached by the browser but revalidated: a file may be explained again.
_CACHE = {"cache-control": "private, no-cache"}


class LatestAnswer(BaseModel):
    """A camera's newest explained frame."""

    number: int = Field(description="Counts the camera's explained frames, from 1.")
    age: float = Field(description="Seconds since it came out of the engine.")
    record: dict[str, Any] = Field(description="In the form of `streamcam schema record`.")


class CountsAnswer(BaseModel):
    """What became of a camera's frames since it was added."""

    decoded: int
    explained: int
    corrupt: int
    dropped: dict[str, int] = Field(description="By cause.")
    detections: dict[str, int] = Field(description="By label.")


class LatencyAnswer(BaseModel):
    """From a frame's data coming in to its result going out, in seconds."""

    p50: float
    p95: float
    decoder: float = Field(description="Mean share of the decoder in it.")


class ZoneAnswer(BaseModel):
    """What happened in a zone since the camera was added."""

    objects: int = Field(description="How many objects are in it now.")
    visits: dict[str, int] = Field(description="How many have left it, by class.")
    seconds: dict[str, float] = Field(description="How long these were in it, in sum, by class.")


class RegionCountsAnswer(BaseModel):
    """What tracked objects did in a camera's zones and at its lines since it was added."""

    zones: dict[str, ZoneAnswer]
    lines: dict[str, dict[Direction, dict[str, int]]] = Field(
        description="How many objects crossed each line, by direction and class."
    )


class CameraAnswer(BaseModel):
    """How a camera is at this moment."""

    name: str
    url: str = Field(description="Without credentials.")
    state: CameraState
    seconds: float = Field(description="For how long it has been in that state.")
    error: str | None = Field(description="What is wrong, without the camera's name.")
    hint: str | None
    width: int
    height: int
    codec: str | None
    frame_rate: float = Field(description="Frames a second that arrive.")
    explained_rate: float = Field(description="Frames a second that are explained.")
    last_frame_age: float | None = Field(
        description="Seconds since the last frame that showed something new."
    )
    counts: CountsAnswer
    regions: RegionCountsAnswer
    reconnects: int
    killed: int = Field(description="Readers that hung and had to be killed.")
    latency: LatencyAnswer | None
    outlets: dict[str, str | None] = Field(
        description="What its results go to, and what is wrong with it."
    )
    recording: bool | None = Field(
        description="Whether its recording goes on; null where it has none."
    )
    recorded: bool = Field(description="Whether there is a folder of recordings.")
    latest: LatestAnswer | None


class JobAnswer(BaseModel):
    """A file of a watched folder, and how far it is. Times are UTC."""

    number: int
    name: str = Field(description="The file's name.")
    path: str
    state: str = Field(description="found, ready, running, done, failed or skipped.")
    progress: float | None = Field(description="Share that is done, 0..1, while it runs.")
    arrived: datetime
    started: datetime | None
    ended: datetime | None
    attempts: int
    error: str | None
    hint: str | None
    files: dict[str, str] = Field(description="Where its results are, by kind.")


class JobsAnswer(BaseModel):
    """Files of the watched folders."""

    counts: dict[str, int] = Field(description="How many there are in each state.")
    jobs: list[JobAnswer] = Field(description="Those that run, then the others, the latest first.")


class GpuAnswer(BaseModel):
    """Memory of a device, in bytes."""

    used: int
    total: int


class StatusAnswer(BaseModel):
    """The whole service at this moment."""

    version: str
    now: datetime
    alive: bool
    not_ready: list[str] = Field(description="Why it is not ready; empty when it is.")
    cameras: list[CameraAnswer]
    jobs: dict[str, int] = Field(description="How many there are in each state.")
    output_free_bytes: int | None
    gpu_memory: dict[str, GpuAnswer]


def status_answer(service: ServiceStatus, clock: Clock) -> StatusAnswer:
    reasons = list(service.readiness())
    jobs: dict[str, int] = {}
    try:
        jobs = job_counts(service)
    except StreamcamError as error:  # the cameras do not need the job store
        reasons.append(error.message)
    return StatusAnswer(
        version=__version__,
        now=clock.utc(),
        alive=service.alive(),
        not_ready=[message(reason) for reason in reasons],
        cameras=[camera_answer(status, service, clock) for status in service.cameras()],
        jobs=jobs,
        output_free_bytes=service.output_free_bytes(),
        gpu_memory={
            device: GpuAnswer.model_validate(memory, from_attributes=True)
            for device, memory in service.gpu_memory().items()
        },
    )


def camera_answer(status: CameraStatus, service: ServiceStatus, clock: Clock) -> CameraAnswer:
    now = clock.monotonic()
    preview = service.preview(status.name)
    shown = None if preview is None else preview.latest
    changed = {
        "url": redacted_url(status.url),
        "seconds": max(0.0, now - status.since),
        "error": _message(status.error and status.error.removeprefix(f"{status.name}: ")),
        "hint": _message(status.hint),
        "outlets": {name: _message(fault) for name, fault in status.sink_errors.items()},
        "recorded": service.recordings(status.name) is not None,
        "latest": shown and _latest(shown, now),
    }
    same = {name: getattr(status, name) for name in CameraAnswer.model_fields.keys() - changed}
    return CameraAnswer.model_validate(same | changed, from_attributes=True)


def job_answer(job: JobProgress) -> JobAnswer:
    of = job.record
    return JobAnswer(
        number=of.id,
        name=readable(of.path.relative_to(of.path.parent)),
        path=of.name,
        state=of.state.value,
        progress=job.progress,
        arrived=_moment(of.arrived),
        started=None if of.started is None else _moment(of.started),
        ended=None if of.ended is None else _moment(of.ended),
        attempts=of.attempts,
        error=_message(of.error),
        hint=_message(of.hint),
        files={
            kind: f"/api/jobs/{of.id}/files/{kind}" for kind in media_types() if kind in of.outputs
        },
    )


def job_counts(service: ServiceStatus) -> dict[str, int]:
    return {state.value: number for state, number in service.job_counts().items()}


def file_answer(path: Path, kind: str) -> FileResponse:
    """Return a file of some kind of result; parts of it by HTTP ranges."""
    if not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "the file is gone")
    return FileResponse(
        path,
        media_type=media_types()[kind],
        headers=_CACHE,
        stat_result=path.stat(),
        filename=readable(path.name),
        content_disposition_type="inline",
    )


def timeline_answer(
    records: Path, time_base: float = 0.0, period: Period | None = None
) -> Timeline:
    """Return the timeline of a video, or of a part of it.

    `time_base` is the seconds of a unit of its timestamps.
    """
    try:
        return condensed(records, start_of(records, time_base), period)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, "its records cannot be read") from error


def _latest(shown: LatestResult, now: float) -> LatestAnswer:
    age = max(0.0, now - shown.since)
    return LatestAnswer(number=shown.number, age=age, record=record(shown.result))


def message(text: str) -> str:
    """Return a message for people without credentials, on one line, and in any case as text."""
    return printable(redacted_url(text))


def _message(text: str | None) -> str | None:
    return None if text is None else message(text)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
