"""The events of a file: one JSON line per event, once the whole file was explained."""

from pathlib import Path

import orjson

from streamcam.config.event_schema import EventSettings
from streamcam.events.event import Event, EventChange, EventStage
from streamcam.events.event_json import as_json
from streamcam.events.finder import EventFinder
from streamcam.files import write_file
from streamcam.sinks.base import ResultFile, Sink, SinkSettings, SinkTarget
from streamcam.types import FrameResult, Item, Picture


class FileEventSettings(SinkSettings):
    """What becomes an event, and for how many seconds an object may be hidden."""

    rule: EventSettings
    lost_after: float


class FileEventSink(Sink[FileEventSettings]):
    """Writes the events of a file in the order of their begin; their form is the schema "event".

    Its frames must have been tracked. A file without events has an empty one.
    """

    settings_type = FileEventSettings
    result_file = ResultFile("events", ".events.jsonl", "events", "application/jsonl")

    def __init__(self, target: SinkTarget, settings: FileEventSettings) -> None:
        self._path = target.path(self.result_file)
        self._finder = EventFinder(
            target.source.id, settings.rule, settings.lost_after, target.clock
        )
        self._ended: list[Event] = []

    def write(self, item: Item, picture: Picture | None) -> None:  # noqa: ARG002
        if isinstance(item, FrameResult):
            self._keep(self._finder.update(item))

    def finish(self) -> Path:
        self._keep(self._finder.end())
        in_order = sorted(self._ended, key=lambda event: (event.begin.frame, event.track_id))
        lines = [
            orjson.dumps(as_json(event), option=orjson.OPT_APPEND_NEWLINE) for event in in_order
        ]
        return write_file(self._path, b"".join(lines))

    def abort(self) -> None:
        self._ended.clear()

    def _keep(self, changes: list[EventChange]) -> None:
        self._ended += [change.event for change in changes if change.stage is EventStage.END]
