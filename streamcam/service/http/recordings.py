"""The routes of a camera's recordings: hours, days as timelines, segments as files.

No path ever comes from a client: a segment's files are found by the moment of its begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from starlette.responses import FileResponse

from streamcam.service.http.answers import file_answer, timeline_answer
from streamcam.service.http.records_digest import Digest, DigestCache
from streamcam.service.http.video_timeline import (
    Buckets,
    PlacedDigest,
    Timeline,
    in_buckets,
)
from streamcam.service.service_status import ServiceStatus
from streamcam.sinks.recording.naming import (
    RecordedHour,
    SegmentFiles,
    recorded_days,
    recorded_hours,
    recorded_segment,
    recorded_segments,
    segments_begun,
)

SegmentKind = Literal["video", "records"]


def _in_utc(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 9999:
        raise ValueError("must lie between the years 1970 and 9998")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]

MAX_HOURS = timedelta(days=42)
"""Of an answer: the six weeks that a month's calendar shows."""

MAX_PERIOD = timedelta(days=2)
"""Of a timeline: more than the 25 hours of the day on which clocks are put back."""

LONGEST_SEGMENT = timedelta(hours=1)
"""The upper bound of the setting `live.segment`."""

READ_SECONDS = 0.3
"""Spent on reading records before an answer tells what is known by then. A day's 1440 segments with
5 frames a second take 3 s of a core, which nobody should wait for without seeing anything."""

_STEPS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
_MAX_BUCKETS = 1500
"""A day of 25 hours in minutes."""

_UNKNOWN_SECONDS = 60.0
"""The length of a segment whose records cannot be read: that of most segments."""


class SegmentAnswer(BaseModel):
    """A stretch of a camera's recording."""

    name: str
    begin: datetime
    files: dict[str, str] = Field(description="Where video and records are.")


class RecordingsAnswer(BaseModel):
    """A camera's recordings of one day."""

    days: list[str] = Field(description="Days of which there are recordings, the latest first.")
    day: str | None
    segments: list[SegmentAnswer]


class HoursAnswer(BaseModel):
    """When there are recordings of a camera."""

    earliest: date | None = Field(description="The first day (UTC) of which there is a folder.")
    latest: date | None = Field(description="The last one.")
    hours: list[RecordedHour] = Field(description="Hours (UTC) with recordings, in order.")


@dataclass(frozen=True, slots=True)
class TimelineSegment:
    """A segment on the timeline.

    Attributes:
        name: As in the addresses of its files.
        begin: The time of its first frame, UTC.
        seconds: Its length.
    """

    name: str
    begin: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordingTimeline(Buckets):
    """What was recorded and found by a camera in a period.

    Attributes:
        begin: Of the first bucket.
        step: Length of a bucket, in seconds.
        segments: What was recorded, in order. Between them are gaps.
        pending: Number of segments whose records were not read yet; ask again for them.
    """

    begin: datetime
    step: float
    segments: Sequence[TimelineSegment]
    pending: int


class RecordingRoutes:
    """The routes of the recordings of cameras."""

    def __init__(self, service: ServiceStatus) -> None:
        self._service = service
        self._digests = DigestCache()
        self.router = APIRouter(prefix="/api/cameras/{name}", tags=["cameras"])
        get = self.router.get
        get("/hours")(self.hours)
        get("/timeline")(self.timeline)
        get("/recordings")(self.recordings)
        get("/recordings/{moment}/timeline")(self.segment_timeline)
        get("/recordings/{moment}/{kind}", response_class=FileResponse)(self.segment_file)

    def hours(
        self,
        name: str,
        begin: Annotated[Moment, Query(alias="from")],
        end: Annotated[Moment, Query(alias="to")],
    ) -> HoursAnswer:
        """The hours of which there are recordings, for a calendar: at most 42 days of them."""
        folder = self._folder(name)
        _check(begin, end, MAX_HOURS)
        days = recorded_days(folder)
        return HoursAnswer(
            earliest=days[-1] if days else None,
            latest=days[0] if days else None,
            hours=recorded_hours(folder, begin, end),
        )

    def timeline(
        self,
        name: str,
        begin: Annotated[Moment, Query(alias="from")],
        end: Annotated[Moment, Query(alias="to")],
    ) -> RecordingTimeline:
        """What was recorded and found in a period of at most two days, such as a local day.

        Answers within a second whatever there is to read: segments whose records were not read yet
        are left out and counted, and are there when asked again. The latest are read first.
        """
        folder = self._folder(name)
        _check(begin, end, MAX_PERIOD)
        segments = segments_begun(folder, begin - LONGEST_SEGMENT, end)
        read = self._read(segments)
        length = (end - begin).total_seconds()
        step = next((step for step in _STEPS if length / step <= _MAX_BUCKETS), _STEPS[-1])
        placed = [PlacedDigest((at.begin - begin).total_seconds(), d) for at, d in read if d]
        buckets = in_buckets(placed, step, -int(-length // step))
        return RecordingTimeline(
            frames=buckets.frames,
            flicker=buckets.flicker,
            classes=buckets.classes,
            begin=begin,
            step=step,
            segments=[at for at, _ in read if at.begin + timedelta(seconds=at.seconds) > begin],
            pending=len(segments) - len(read),
        )

    def recordings(self, name: str, day: date | None = None) -> RecordingsAnswer:
        """A camera's segments of a day (UTC), by default the latest."""
        folder = self._folder(name)
        recorded = recorded_days(folder)
        day = day or next(iter(recorded), None)
        segments = [] if day is None else recorded_segments(folder, day)
        return RecordingsAnswer(
            days=[each.isoformat() for each in recorded],
            day=None if day is None else day.isoformat(),
            segments=[_segment_answer(name, segment) for segment in segments],
        )

    def segment_file(self, name: str, moment: str, kind: SegmentKind) -> FileResponse:
        """A stretch of a camera's recording; parts of it by HTTP ranges."""
        found = self._segment(name, moment)
        return file_answer(found.video if kind == "video" else found.records, kind)

    def segment_timeline(self, name: str, moment: str) -> Timeline:
        """What was found when in a stretch of a camera's recording."""
        return timeline_answer(self._segment(name, moment).records)

    def _read(
        self, segments: Sequence[SegmentFiles]
    ) -> list[tuple[TimelineSegment, Digest | None]]:
        """Return the segments whose records are known, and those that can be read in time."""
        spent = 0.0
        read: list[tuple[TimelineSegment, Digest | None]] = []
        for segment in reversed(segments):
            try:
                digest = self._digests.known(segment.records)
                if digest is None and spent < READ_SECONDS:
                    begin = monotonic()
                    digest = self._digests.read(segment.records, _STEPS[0])
                    spent += monotonic() - begin
                if digest is None:
                    continue
                of = TimelineSegment(segment.name, digest.begin or segment.begin, digest.seconds)
                read.append((of, digest))
            except (OSError, ValueError, KeyError, TypeError):
                # Its video may be whole.
                unread = TimelineSegment(segment.name, segment.begin, _UNKNOWN_SECONDS)
                read.append((unread, None))
        return read[::-1]

    def _folder(self, camera: str) -> Path:
        folder = self._service.recordings(camera)
        if folder is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no recordings of such a camera")
        return folder

    def _segment(self, camera: str, moment: str) -> SegmentFiles:
        found = recorded_segment(self._folder(camera), moment)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such recording")
        return found


def _check(begin: datetime, end: datetime, longest: timedelta) -> None:
    if not timedelta() < end - begin <= longest:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"`to` must be later than `from`, by at most {longest.days} days",
        )


def _segment_answer(camera: str, segment: SegmentFiles) -> SegmentAnswer:
    prefix = f"/api/cameras/{camera}/recordings/{segment.name}"
    kinds = {"video": segment.video, "records": segment.records}
    return SegmentAnswer(
        name=segment.name,
        begin=segment.begin,
        files={kind: f"{prefix}/{kind}" for kind, path in kinds.items() if path.is_file()},
    )
