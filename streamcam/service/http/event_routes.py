"""The routes of events: lists, one event, its clip and stills, and whether it was a false alarm."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import FileResponse, Response

from streamcam.events.event_store import ClipState, EventFilter, EventStore, StoredEvent
from streamcam.service.http.auth import Access
from streamcam.service.http.video_timeline import Timeline, condensed
from streamcam.service.service_status import ServiceStatus
from streamcam.sinks.pictures import reduced
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, HEAT_STILL, STILL, event_file

MAX_EVENTS = 500

Width = Annotated[int | None, Query(ge=16, le=4096, description="Of a smaller picture, pixels.")]

_ENDINGS = {"clip": CLIP, "snapshot": STILL, "heat": HEAT_STILL}

# The best frame of an event that lasts may change.
_CACHE = {"cache-control": "private, no-cache"}


class MomentAnswer(BaseModel):
    """A frame's time."""

    frame: int = Field(description="Its number in its source.")
    time: float = Field(description="Seconds from the source's first frame.")
    time_utc: datetime | None = None


class EventFocusAnswer(BaseModel):
    """How much of the maps lay on the object over its life."""

    lift_mean: float = Field(description="1 is no better than chance.")
    lift_min: float
    share_off_object: float = Field(description="Of its frames, those whose lift is below 1.")


class EventAnswer(BaseModel):
    """One object that passed its camera's rule; `streamcam schema event` has the meaning of all."""

    id: str
    source: str = Field(description="The camera's name.")
    label: str
    class_id: int
    track_id: int
    begin: MomentAnswer
    best: MomentAnswer
    end: MomentAnswer | None = Field(description="Null while it lasts.")
    box: list[float] = Field(description="x1, y1, x2, y2 in the best frame, pixels.")
    confidence: float
    zones: list[str]
    frames: int
    focus: EventFocusAnswer
    suspicions: list[Literal["off-object", "flickering"]] = Field(
        description="Why it may be a false alarm."
    )
    dismissed: bool = Field(description="Whether somebody called it a false alarm.")
    clip: ClipState
    clip_note: str | None = Field(description="Why there is no clip.")
    clip_begin: datetime | None = Field(description="When its first frame was taken.")
    files: dict[str, str] = Field(description="Where clip, snapshot and heat are, if they are.")


class EventsAnswer(BaseModel):
    """Events, the newest first."""

    events: list[EventAnswer]
    next: str | None = Field(description="`before` of the next page; null: there is none.")


class ChoicesAnswer(BaseModel):
    """What there are events of."""

    cameras: list[str]
    classes: list[str]
    zones: list[str]


class EventRoutes:
    """The routes below `/api/events`."""

    def __init__(self, service: ServiceStatus, access: Access) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/events", tags=["events"])
        get, post = self.router.get, self.router.post
        get("")(self.events)
        get("/choices")(self.choices)
        get("/{event_id}")(self.event)
        get("/{event_id}/clip", response_class=FileResponse)(self.clip)
        get("/{event_id}/timeline")(self.timeline)
        get("/{event_id}/snapshot", response_class=FileResponse)(self.snapshot)
        get("/{event_id}/heat", response_class=FileResponse)(self.heat)
        change: dict[str, Any] = {
            "dependencies": [Depends(access.check_change)],
            "status_code": HTTPStatus.NO_CONTENT,
        }
        post("/{event_id}/dismiss", **change)(self.dismiss)
        post("/{event_id}/restore", **change)(self.restore)

    def events(
        self,
        camera: Annotated[tuple[str, ...], Query()] = (),
        label: Annotated[tuple[str, ...], Query(alias="class")] = (),
        zone: Annotated[tuple[str, ...], Query()] = (),
        since: Annotated[AwareDatetime | None, Query(description="Of their begin.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Not included.")] = None,
        suspects: Annotated[bool, Query(description="Only possible false alarms.")] = False,
        dismissed: Annotated[bool, Query(description="Only dismissed ones.")] = False,
        before: Annotated[str | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
    ) -> EventsAnswer:
        """Events that fit, the newest first; dismissed ones only if they are asked for."""
        chosen = EventFilter(
            camera, label, zone, _seconds(since), _seconds(until), suspects, dismissed
        )
        store = self._service.events()
        found: Sequence[StoredEvent] = () if store is None else store.find(chosen, limit, before)
        return EventsAnswer(
            events=[self._answer(event) for event in found],
            next=found[-1].id if len(found) == limit else None,
        )

    def choices(self) -> ChoicesAnswer:
        """The cameras, classes and zones that there are events of, for filters."""
        store = self._service.events()
        found = {} if store is None else store.choices()
        names = {"cameras": "source", "classes": "label", "zones": "zone"}
        return ChoicesAnswer(**{name: found.get(key, []) for name, key in names.items()})

    def event(self, event_id: str) -> EventAnswer:
        """An event."""
        return self._answer(self._event(event_id))

    def clip(self, event_id: str) -> FileResponse:
        """The event's part of the recording; parts of it by HTTP ranges."""
        return _file(self._path(event_id, CLIP), "video/mp4")

    def timeline(self, event_id: str) -> Timeline:
        """What was found when in the event's clip."""
        try:
            return condensed(self._path(event_id, CLIP_RECORDS))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, "its records cannot be read") from error

    def snapshot(self, event_id: str, width: Width = None) -> Response:
        """The event's best frame as the camera gave it."""
        return _picture(self._path(event_id, STILL), width)

    def heat(self, event_id: str, width: Width = None) -> Response:
        """The event's best frame with heat and the object's box."""
        return _picture(self._path(event_id, HEAT_STILL), width)

    def dismiss(self, event_id: str) -> None:
        """Take a false alarm from the lists."""
        self._set_dismissed(event_id, dismissed=True)

    def restore(self, event_id: str) -> None:
        """Take an event back into the lists."""
        self._set_dismissed(event_id, dismissed=False)

    def _set_dismissed(self, event_id: str, *, dismissed: bool) -> None:
        if not self._store().dismiss(event_id, dismissed=dismissed):
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such event")

    def _answer(self, event: StoredEvent) -> EventAnswer:
        there = {
            kind: f"/api/events/{event.id}/{kind}"
            for kind, ending in _ENDINGS.items()
            if self._file_of(event, ending).is_file()
        }
        return EventAnswer.model_validate({**event.as_json(), "files": there})

    def _store(self) -> EventStore:
        store = self._service.events()
        if store is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such event")
        return store

    def _event(self, event_id: str) -> StoredEvent:
        found = self._store().get(event_id)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such event")
        return found

    def _path(self, event_id: str, ending: str) -> Path:
        path = self._file_of(self._event(event_id), ending)
        if not path.is_file():
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is none, or it is gone")
        return path

    def _file_of(self, event: StoredEvent, ending: str) -> Path:
        return event_file(
            self._service.settings.output.local_folder / event.source, event.id, ending
        )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _file(path: Path, media_type: str) -> FileResponse:
    return FileResponse(
        path,
        media_type=media_type,
        headers=_CACHE,
        stat_result=path.stat(),
        filename=path.name,
        content_disposition_type="inline",
    )


def _picture(path: Path, width: int | None) -> Response:
    if width is None:
        return _file(path, "image/jpeg")
    jpeg = reduced(path, width)
    if jpeg is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "it cannot be read")
    return Response(jpeg, media_type="image/jpeg", headers=_CACHE)
