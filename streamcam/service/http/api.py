"""The routes that tell how things are, in JSON."""

from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from streamcam.clock import Clock
from streamcam.jobs.job_record import JobState
from streamcam.service.http.recordings import Segment, days, segments
from streamcam.service.http.schemas import (
    CameraAnswer,
    JobAnswer,
    JobsAnswer,
    RecordingsAnswer,
    SegmentAnswer,
    StatusAnswer,
    camera_answer,
    job_answer,
    job_counts,
    status_answer,
)
from streamcam.service.status import JobView, Overview

MOST_JOBS = 500


class Api:
    """The routes of status, cameras and jobs.

    Args:
        overview: What they tell of.
        clock: Tells the time.
    """

    def __init__(self, overview: Overview, clock: Clock) -> None:
        self._overview = overview
        self._clock = clock
        self.router = APIRouter(prefix="/api")
        get = self.router.get
        get("/status", tags=["service"])(self.status)
        get("/cameras/{name}", tags=["cameras"])(self.camera)
        get("/cameras/{name}/recordings", tags=["cameras"])(self.recordings)
        get("/jobs", tags=["jobs"])(self.jobs)
        get("/jobs/{number}", tags=["jobs"])(self.job)

    def status(self) -> StatusAnswer:
        """Everything at a glance: cameras with their last detections, jobs, room, memory."""
        return status_answer(self._overview, self._clock)

    def camera(self, name: str) -> CameraAnswer:
        """How a camera is, and what was last seen by it."""
        for status in self._overview.cameras():
            if status.name == name:
                return camera_answer(status, self._overview, self._clock)
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such camera")

    def recordings(self, name: str, day: date | None = None) -> RecordingsAnswer:
        """A camera's segments of a day (UTC), by default the latest."""
        folder = recordings_folder(self._overview, name)
        there = days(folder)
        day = day or next(iter(there), None)
        return RecordingsAnswer(
            days=[each.isoformat() for each in there],
            day=None if day is None else day.isoformat(),
            segments=[] if day is None else [_segment(name, s) for s in segments(folder, day)],
        )

    def jobs(
        self,
        state: Annotated[tuple[JobState, ...], Query()] = (),
        limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 50,
    ) -> JobsAnswer:
        """Files of the watched folders, of these states or all: running ones, then the latest."""
        found = [job for job in self._overview.jobs(state, limit) if not _runs(job)]
        running: Sequence[JobView] = ()
        if not state or JobState.RUNNING in state:
            # Of many files that came at once, these came first: the latest are not among them.
            running = self._overview.jobs((JobState.RUNNING,), MOST_JOBS)
        return JobsAnswer(
            counts=job_counts(self._overview),
            jobs=[job_answer(job) for job in (*running, *reversed(found))],
        )

    def job(self, number: int) -> JobAnswer:
        """A file of a watched folder."""
        return job_answer(known_job(self._overview, number))


def known_job(overview: Overview, number: int) -> JobView:
    """Return a job.

    Raises:
        HTTPException: There is none (404).
    """
    # Greater numbers are none that SQLite could have given.
    job = overview.job(number) if 0 < number < 2**63 else None
    if job is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such job")
    return job


def recordings_folder(overview: Overview, camera: str) -> Path:
    """Return where a camera's recordings are.

    Raises:
        HTTPException: There is no such camera, or it does not record (404).
    """
    folder = overview.recordings(camera)
    if folder is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no recordings of such a camera")
    return folder


def _runs(job: JobView) -> bool:
    return job.record.state is JobState.RUNNING


def _segment(camera: str, segment: Segment) -> SegmentAnswer:
    place = f"/api/cameras/{camera}/recordings/{segment.name}"
    kinds = {"video": segment.video, "records": segment.records}
    return SegmentAnswer(
        name=segment.name,
        begin=segment.begin,
        files={kind: f"{place}/{kind}" for kind, path in kinds.items() if path.is_file()},
    )
