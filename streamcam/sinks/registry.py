"""All sinks by name: the built-in ones, and those of other distributions.

A sink of another distribution is an entry point of the group `streamcam.sinks` that names a
subclass of `Sink`; one of our own that users turn on is a line of `_OPTIONAL`. Both are turned on
by a table `[sinks.NAME]` of the configuration, which holds the sink's settings.
"""

import logging
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeAlias, cast

from pydantic import BaseModel

from streamcam.errors import SinkError
from streamcam.files import PART
from streamcam.sinks.base import ResultFile, Sink, SinkSettings, SinkTarget, result_path
from streamcam.sinks.manifest import MANIFEST

logger = logging.getLogger(__name__)

GROUP = "streamcam.sinks"

SinkType: TypeAlias = type[Sink[BaseModel]]

_STANDARD: Mapping[str, str] = {
    "video": "streamcam.sinks.video:VideoSink",
    "picture": "streamcam.sinks.pictures:StillSink",
    "records": "streamcam.sinks.records:JsonlSink",
    "records-frames": "streamcam.sinks.parquet.table_sinks:FrameTableSink",
    "records-detections": "streamcam.sinks.parquet.table_sinks:DetectionTableSink",
    "maps-npz": "streamcam.sinks.maps:NpzSink",
    "maps-png": "streamcam.sinks.maps:PngSink",
    "events": "streamcam.events.file_events:FileEventSink",
    "recording": "streamcam.sinks.recording.recorder:RecordingSink",
    "publishing": "streamcam.sinks.publish:PublishSink",
}
"""Turned on by the keys of [output], [events], [live] and [[camera]]."""

_OPTIONAL: Mapping[str, str] = {}
"""Turned on by a table [sinks.NAME], like the entry points of other distributions."""

AUDIT_VALUES = ".audit.json"
AUDIT_PAGE = ".audit.html"
COMPARED_VIDEO = ".compare.mp4"
COMPARED_PICTURE = ".compare.jpg"
_OTHER_ENDINGS = (".map.png", AUDIT_VALUES, AUDIT_PAGE, COMPARED_VIDEO, COMPARED_PICTURE)
"""Endings of result files that are not the `result_file` of a sink."""


@dataclass(frozen=True, slots=True)
class SinkChoice:
    name: str
    settings: BaseModel = field(default_factory=SinkSettings)

    @property
    def type(self) -> SinkType:
        return sink_type(self.name)

    @property
    def uses_picture(self) -> bool:
        return self.type.uses_picture(self.settings)

    def recover(self, target: SinkTarget) -> None:
        self.type.recover(target)

    def create(self, target: SinkTarget) -> Sink[BaseModel]:
        return self.type.create(target, self.settings)


def optional_sinks() -> tuple[str, ...]:
    return tuple(name for name in _entries() if name not in _STANDARD)


def sink_type(name: str) -> SinkType:
    """Load a sink's class; `SinkError` where there is none, or it cannot be loaded."""
    entry = _entries().get(name)
    if entry is None:
        known = ", ".join(optional_sinks()) or "none is installed"
        raise SinkError(f"{name}: there is no such sink (known: {known})")
    try:
        found: object = entry.load()
    except Exception as error:
        raise SinkError(
            f"{name}: this sink cannot be loaded: {type(error).__name__}: {error}",
            hint="Is it installed, with all that it needs?",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Sink)):
        raise SinkError(f"{name}: {entry.value} is not a subclass of streamcam.sinks.base.Sink")
    return cast("SinkType", found)


@cache
def result_files() -> tuple[ResultFile, ...]:
    """Return every kind of file that is written for a source, the manifest last."""
    files: list[ResultFile | None] = []
    for name in _entries():
        try:
            files.append(sink_type(name).result_file)
        except SinkError as error:
            logger.warning("%s", error.message)
    return (*filter(None, files), MANIFEST)


def media_types() -> dict[str, str]:
    """Return the MIME types of the kinds of files that are offered over HTTP."""
    return {file.kind: file.media_type for file in result_files() if file.media_type}


def is_result(path: Path) -> bool:
    """Return whether a path is named like a result, finished or not."""
    endings = *(file.ending for file in result_files()), *_OTHER_ENDINGS
    return path.name.removesuffix(PART).endswith(endings)


def remove_results(folder: Path, stem: str, *, keep: Collection[Path] = ()) -> None:
    """Remove the published results of a source but those to keep, the manifest first."""
    kept = {path.absolute() for path in keep}
    for file in reversed(result_files()):
        path = result_path(folder, stem, file.ending)
        if path.absolute() not in kept:
            _remove(path)


def remove_unfinished(folder: Path, stem: str) -> None:
    """Remove the results of a source that a process left unfinished, but for its claim."""
    for file in result_files():
        path = result_path(folder, stem, file.ending)
        if file != MANIFEST:
            _remove(path.with_name(path.name + PART))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def _entries() -> Mapping[str, EntryPoint]:
    built_in = {**_STANDARD, **_OPTIONAL}
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    return installed | {name: EntryPoint(name, path, GROUP) for name, path in built_in.items()}
