"""Results as files, and the timelines made of them.

No path ever comes from a client: a job's files are found by its number and their kind, a camera's
by a moment in time.
"""

from fractions import Fraction
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, Field
from starlette.responses import FileResponse

from streamcam.service.http.api import known_job, recordings_folder
from streamcam.service.http.recordings import Segment, segment
from streamcam.service.http.timeline import Timeline, condensed, start_of
from streamcam.service.status import Overview
from streamcam.sinks.manifest import read_manifest
from streamcam.sinks.registry import media_types


def _known(kind: str) -> str:
    if kind not in media_types():
        raise ValueError(f"must be one of {', '.join(media_types())}")
    return kind


def _list_kinds(schema: dict[str, Any]) -> None:
    schema["enum"] = list(media_types())


Kind = Annotated[str, Field(json_schema_extra=_list_kinds), AfterValidator(_known)]
SegmentKind = Literal["video", "records"]

# Kept by the browser, but asked for anew: a file may be explained again.
_CACHE = {"cache-control": "private, no-cache"}


class Files:
    """The routes of files and timelines.

    Args:
        overview: Knows where they are.
    """

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self.router = APIRouter(prefix="/api")
        get = self.router.get
        jobs, recordings = "/jobs/{number}", "/cameras/{name}/recordings/{moment}"
        get(jobs + "/timeline", tags=["jobs"])(self.job_timeline)
        get(recordings + "/timeline", tags=["cameras"])(self.segment_timeline)
        get(jobs + "/files/{kind}", tags=["jobs"], response_class=FileResponse)(self.job_file)
        get(recordings + "/{kind}", tags=["cameras"], response_class=FileResponse)(
            self.segment_file
        )

    def job_file(self, number: int, kind: Kind) -> FileResponse:
        """A result of a finished job; parts of it by HTTP ranges."""
        return _file(self._job_path(number, kind), kind)

    def segment_file(self, name: str, moment: str, kind: SegmentKind) -> FileResponse:
        """A stretch of a camera's recording; parts of it by HTTP ranges."""
        found = self._segment(name, moment)
        return _file(found.video if kind == "video" else found.records, kind)

    def job_timeline(self, number: int) -> Timeline:
        """What was found when in a job's video: counts and focus of each class over time."""
        records = self._job_path(number, "records")
        manifest = read_manifest(self._job_path(number, "manifest"))
        base = "0/1" if manifest is None else manifest.content["source"]["time_base"]
        return _timeline(records, float(Fraction(base)))

    def segment_timeline(self, name: str, moment: str) -> Timeline:
        """What was found when in a stretch of a camera's recording."""
        return _timeline(self._segment(name, moment).records)

    def _job_path(self, number: int, kind: str) -> Path:
        path = known_job(self._overview, number).record.outputs.get(kind)
        if path is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"this job has no {kind}")
        return path

    def _segment(self, camera: str, moment: str) -> Segment:
        found = segment(recordings_folder(self._overview, camera), moment)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such recording")
        return found


def _file(path: Path, kind: str) -> FileResponse:
    if not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "the file is gone")
    return FileResponse(
        path,
        media_type=media_types()[kind],
        headers=_CACHE,
        stat_result=path.stat(),
        filename=path.name,
        content_disposition_type="inline",
    )


def _timeline(records: Path, time_base: float = 0.0) -> Timeline:
    try:
        return condensed(records, start_of(records, time_base))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, "its records cannot be read") from error
