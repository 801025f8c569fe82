"""The routes of the API: status, cameras, jobs, and their results as files and timelines.

No path ever comes from a client: a job's files are found by its number and their kind.
"""

from collections.abc import Sequence
from fractions import Fraction
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import AfterValidator, Field
from starlette.responses import FileResponse

from streamcam.clock import Clock
from streamcam.jobs.job_record import JobState
from streamcam.service.http.answers import (
    CameraAnswer,
    JobAnswer,
    JobsAnswer,
    StatusAnswer,
    camera_answer,
    file_answer,
    job_answer,
    job_counts,
    status_answer,
    timeline_answer,
)
from streamcam.service.http.auth import Access
from streamcam.service.http.video_timeline import Period, Timeline
from streamcam.service.service_status import JobProgress, ServiceStatus
from streamcam.sinks.manifest import read_manifest
from streamcam.sinks.parquet.table_sinks import FRAMES
from streamcam.sinks.registry import media_types

MAX_JOBS = 500


def _known(kind: str) -> str:
    if kind not in media_types():
        raise ValueError(f"must be one of {', '.join(media_types())}")
    return kind


def _list_kinds(schema: dict[str, Any]) -> None:
    schema["enum"] = list(media_types())


Kind = Annotated[str, Field(json_schema_extra=_list_kinds), AfterValidator(_known)]

Position = Annotated[float, Field(ge=0, le=1e9)]
_OF_PART = "Of a part of it, in finer buckets: the player's position, in seconds. Both or none."


class ApiRoutes:
    """The routes of status, cameras and jobs."""

    def __init__(self, service: ServiceStatus, access: Access, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self.router = APIRouter(prefix="/api")
        get = self.router.get
        get("/status", tags=["service"])(self.status)
        get("/cameras/{name}", tags=["cameras"])(self.camera)
        change: dict[str, Any] = {
            "dependencies": [Depends(access.check_change)],
            "status_code": HTTPStatus.NO_CONTENT,
            "tags": ["cameras"],
        }
        post = self.router.post
        post("/cameras/{name}/pause", **change)(self.pause)
        post("/cameras/{name}/resume", **change)(self.resume)
        post("/cameras/{name}/recording/pause", **change)(self.pause_recording)
        post("/cameras/{name}/recording/resume", **change)(self.resume_recording)
        get("/jobs", tags=["jobs"])(self.jobs)
        get("/jobs/{number}", tags=["jobs"])(self.job)
        get("/jobs/{number}/timeline", tags=["jobs"])(self.job_timeline)
        get("/jobs/{number}/files/{kind}", tags=["jobs"], response_class=FileResponse)(
            self.job_file
        )

    def status(self) -> StatusAnswer:
        """Everything at a glance: cameras with their last detections, jobs, room, memory."""
        return status_answer(self._service, self._clock)

    def camera(self, name: str) -> CameraAnswer:
        """How a camera is, and what was last seen by it."""
        for status in self._service.cameras():
            if status.name == name:
                return camera_answer(status, self._service, self._clock)
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such camera")

    def pause(self, name: str) -> None:
        """Disconnect a camera until it is resumed, or the service starts again."""
        _check_known(self._service.pause(name, True))

    def resume(self, name: str) -> None:
        """Connect a paused camera again."""
        _check_known(self._service.pause(name, False))

    def pause_recording(self, name: str) -> None:
        """Complete a camera's recording and let it rest, until it is resumed or the next start."""
        _check_known(self._service.record(name, False))

    def resume_recording(self, name: str) -> None:
        """Let a camera's recording go on."""
        _check_known(self._service.record(name, True))

    def jobs(
        self,
        state: Annotated[tuple[JobState, ...], Query()] = (),
        limit: Annotated[int, Query(ge=1, le=MAX_JOBS)] = 50,
    ) -> JobsAnswer:
        """Files of the watched folders, of these states or all: running ones, then the latest."""
        running: Sequence[JobProgress] = ()
        if not state or JobState.RUNNING in state:
            # The running ones may not be among the latest: jobs run in the order of arrival.
            running = self._service.jobs((JobState.RUNNING,), MAX_JOBS)
        # A job may begin or end between the two questions.
        listed = {job.record.id for job in running}
        latest = self._service.jobs(state, limit)
        others = [job for job in latest if job.record.id not in listed]
        return JobsAnswer(
            counts=job_counts(self._service),
            jobs=[job_answer(job) for job in (*running, *reversed(others))],
        )

    def job(self, number: int) -> JobAnswer:
        """A file of a watched folder."""
        return job_answer(self._job(number))

    def job_file(self, number: int, kind: Kind) -> FileResponse:
        """A result of a finished job; parts of it by HTTP ranges."""
        return file_answer(self._job_path(number, kind), kind)

    def job_timeline(
        self,
        number: int,
        begin: Annotated[Position | None, Query(alias="from", description=_OF_PART)] = None,
        end: Annotated[Position | None, Query(alias="to", description=_OF_PART)] = None,
    ) -> Timeline:
        """What was found when in a job's video: counts and focus of each class over time."""
        outputs = self._job(number).record.outputs
        kind = "records" if FRAMES.kind not in outputs or "records" in outputs else FRAMES.kind
        records = self._job_path(number, kind)
        manifest = read_manifest(self._job_path(number, "manifest"))
        base = "0/1" if manifest is None else manifest.content["source"]["time_base"]
        period = None if begin is None or end is None else Period(begin, end)
        return timeline_answer(records, float(Fraction(base)), period)

    def _job(self, number: int) -> JobProgress:
        # SQLite has no greater numbers.
        job = self._service.job(number) if 0 < number < 2**63 else None
        if job is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such job")
        return job

    def _job_path(self, number: int, kind: str) -> Path:
        path = self._job(number).record.outputs.get(kind)
        if path is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"this job has no {kind}")
        return path


def _check_known(known: bool) -> None:
    if not known:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such camera")
