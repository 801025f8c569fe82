"""Keeps the events of cameras: in the store, as lines, with stills, with clips of the recording."""

import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from streamcam.clock import Clock, iso_utc
from streamcam.config.event_schema import EventSettings
from streamcam.errors import DiskFullError, SinkError, StreamcamError
from streamcam.events.event import Event, EventChange, EventStage
from streamcam.events.event_json import as_json
from streamcam.events.event_store import FILE_NAME, ClipState, EventStore, StoredEvent
from streamcam.media_errors import writing
from streamcam.observer import Observer
from streamcam.render import Style, annotate
from streamcam.sinks.pictures import write_still
from streamcam.sinks.recording.cutting import cut, is_recorded_until
from streamcam.sinks.recording.naming import (
    CLIP,
    CLIP_RECORDS,
    EVENT_LINES,
    HEAT_STILL,
    STILL,
    event_file,
    hour_folder,
)
from streamcam.types import FrameResult

_log = logging.getLogger(__name__)

_PERIOD_SECONDS = 1.0
"""Between two looks for clips that are due: an event is told at once in any case."""

_RETRY_SECONDS = 5.0
_PRUNE_SECONDS = 60.0

_PUBLISHING_SECONDS = 10.0
"""By which a segment is published after its end, on a disk that is busy."""

_STOP_SECONDS = 5.0
"""For clips when the service ends; the others are cut at the next start."""

_MOST_CHANGES = 10_000
_MOST_PICTURES = 32
"""Of what waits for a disk that hangs; a picture of 1080p takes 6 MB."""

_NOT_RECORDED = "this camera's pictures are not recorded"
_NOTHING_RECORDED = "nothing was recorded at that time"


@dataclass(frozen=True, slots=True)
class KeptCamera:
    """How the events of a camera are kept.

    Attributes:
        folder: The camera's own, e.g. `out/door`.
        rule: Its settings of events; those of its clips count here.
        style: How its stills with heat look.
        segment: Length of a recorded segment in seconds; None where no pictures are recorded.
    """

    folder: Path
    rule: EventSettings
    style: Style
    segment: float | None


class EventArchive(Observer):
    """Keeps events as they are told, in a thread of its own, which runs once there is a camera.

    What cannot be written is tried again; of what is told meanwhile the pictures are dropped first.
    The clip of an event is cut when the recording that holds its end is published, after a restart
    if need be. Its methods are for one thread, but for `event_changed` and `store`.

    Attributes:
        max_age: Seconds after which events are deleted from the store, None for never.
    """

    def __init__(self, clock: Clock) -> None:
        self.max_age: float | None = None
        self._clock = clock
        self._folder: Path | None = None
        self._cameras: dict[str, KeptCamera] = {}
        self._recovered: set[str] = set()
        self._changes: deque[EventChange] = deque(maxlen=_MOST_CHANGES)
        self._lock = threading.Lock()
        self._store: EventStore | None = None
        self._former: list[EventStore] = []
        self._error: str | None = None
        self._next_prune = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self, folder: Path, cameras: Mapping[str, KeptCamera]) -> None:
        """Keep the events of these cameras, with the store in an output folder, from now on."""
        with self._lock:
            if folder != self._folder:
                # Somebody may be reading the former one: it is closed at the end.
                self._former += [] if self._store is None else [self._store]
                self._folder, self._store = folder, None
                self._recovered.clear()
        # Those that are gone stay: their last events may still be on their way.
        self._cameras = {**self._cameras, **cameras}
        if cameras and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="streamcam events", daemon=True)
            self._thread.start()

    def event_changed(self, change: EventChange) -> None:
        has_room = len(self._changes) < _MOST_PICTURES
        self._changes.append(change if has_room else replace(change, picture=None))
        self._wake.set()

    def stop(self) -> None:
        """Keep what was told, cut the clips that can be cut, and end."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS * 2)
            self._thread = None
        with self._lock:
            for store in (*self._former, self._store):
                if store is not None:
                    store.close()
            self._former, self._store = [], None

    def store(self) -> EventStore | None:
        """Return the store, None where there is none. From any thread; raises as `EventStore`."""
        with self._lock:
            if self._store is None and self._folder and (self._folder / FILE_NAME).exists():
                self._store = EventStore(self._folder / FILE_NAME)
            return self._store

    def _opened(self) -> EventStore:
        with self._lock:
            if self._store is None:
                assert self._folder is not None, "the thread runs once it is configured"
                self._store = EventStore(self._folder / FILE_NAME)
            return self._store

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_PERIOD_SECONDS)
            self._wake.clear()
            if not self._work():
                self._stopping.wait(_RETRY_SECONDS)
        self._work()

    def _work(self) -> bool:
        """Keep what was told and cut the clips that are due; return whether nothing failed."""
        try:
            store = self._opened()
            self._recover(store)
            while self._changes:
                self._keep(store, self._changes[0])
                self._changes.popleft()
            self._cut_due(store)
            self._prune(store)
        except StreamcamError as error:
            self._report(error.message)
        except Exception as error:  # noqa: BLE001 - events must not end with one of them
            _log.debug("internal fault", exc_info=error)
            self._report(f"internal fault: {type(error).__name__}: {error}")
        else:
            self._error = None
            return True
        return False

    def _report(self, error: str) -> None:
        if error != self._error:
            _log.error("events are not kept: %s", error)
        self._error = error

    def _recover(self, store: EventStore) -> None:
        """End the events that an earlier process left, before new ones of their cameras come."""
        new = self._cameras.keys() - self._recovered
        if not new:
            return
        for event in store.close_running(tuple(new)):
            self._write_line(self._cameras[event.source], event.content)
        self._recovered |= new

    def _keep(self, store: EventStore, change: EventChange) -> None:
        event = change.event
        camera = self._cameras.get(event.source)
        if camera is None:
            return
        if camera.segment is None:
            store.put(event, ClipState.NONE, _NOT_RECORDED)
        else:
            store.put(event, ClipState.PENDING)
        if change.picture is not None:
            _write_stills(camera, event, change.picture)
        if change.stage is EventStage.END:
            self._write_line(camera, as_json(event))

    @staticmethod
    def _write_line(camera: KeptCamera, content: Mapping[str, object]) -> None:
        path = hour_folder(camera.folder, _utc(content, "end")) / EVENT_LINES
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))

    def _cut_due(self, store: EventStore) -> None:
        deadline = self._clock.monotonic() + _STOP_SECONDS
        for event in store.clips_due():
            camera = self._cameras.get(event.source)
            if camera is None or (self._stopping.is_set() and self._clock.monotonic() > deadline):
                continue
            until = _utc(event.content, "end") + timedelta(seconds=camera.rule.post_roll)
            if camera.segment is None:
                store.set_clip(event.id, ClipState.NONE, note=_NOT_RECORDED)
            elif self._stopping.is_set() or self._is_due(camera, until, camera.segment):
                self._cut(store, event, camera, until)

    def _is_due(self, camera: KeptCamera, until: datetime, segment: float) -> bool:
        """Tell whether the recording up to a moment is published, or nothing more can come."""
        waited = (self._clock.utc() - until).total_seconds()
        if waited < 0:
            return False
        return waited > segment + _PUBLISHING_SECONDS or is_recorded_until(camera.folder, until)

    @staticmethod
    def _cut(store: EventStore, event: StoredEvent, camera: KeptCamera, until: datetime) -> None:
        begin = _utc(event.content, "begin") - timedelta(seconds=camera.rule.pre_roll)
        files = (event_file(camera.folder, event.id, ending) for ending in (CLIP, CLIP_RECORDS))
        try:
            clip = cut(camera.folder, begin, until, *files)
        except DiskFullError:
            raise
        except SinkError as error:
            _log.warning("%s: no clip: %s", event.source, error.message)
            store.set_clip(event.id, ClipState.NONE, note=error.message)
            return
        if clip is None:
            store.set_clip(event.id, ClipState.NONE, note=_NOTHING_RECORDED)
        else:
            store.set_clip(event.id, ClipState.READY, begin=iso_utc(clip.begin))

    def _prune(self, store: EventStore) -> None:
        if self.max_age is not None and self._clock.monotonic() >= self._next_prune:
            self._next_prune = self._clock.monotonic() + _PRUNE_SECONDS
            store.delete_before(self._clock.utc().timestamp() - self.max_age)


def _write_stills(camera: KeptCamera, event: Event, result: FrameResult) -> None:
    """Write the picture as it came, and with heat and the box of the event's object alone."""
    write_still(event_file(camera.folder, event.id, STILL), result.frame.picture)
    own = tuple(each for each in result.detections if each.track_id == event.track_id)
    heat = annotate(replace(result, detections=own), camera.style)
    write_still(event_file(camera.folder, event.id, HEAT_STILL), heat)


def _utc(content: Mapping[str, object], moment: str) -> datetime:
    found = content[moment]
    assert isinstance(found, Mapping)
    return datetime.fromisoformat(found["time_utc"])
