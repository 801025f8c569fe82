"""From results to an export: all frames, or those that are given, source by source."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamcam.errors import SourceError, UsageError
from streamcam.export.dataset_folder import DatasetFolder
from streamcam.export.event_stills import is_camera
from streamcam.export.exported_frame import ExportedFrame, Reason
from streamcam.export.formats.base import ClassNumbers
from streamcam.export.original_pictures import Original, Record, originals
from streamcam.export.saved_maps import SavedMaps
from streamcam.report.results import RecordedClip, ResultSource, find_sources, read_records
from streamcam.types import Picture

Progress = Callable[[str, int, int], None]
"""Called with what is worked on, and how many of how many steps are done."""

_AT_ONCE = 1000
"""Records of frames that are read at a time; a source is opened again for the next ones."""


@dataclass(slots=True)
class ExportSummary:
    """What an export holds, and what it lacks.

    Attributes:
        sources: Names of the sources that it has frames of.
        failed: Why the frames of a source, or the rest of them, could not be read, by its name.
        lost: Frames that the source does not have any more, though it could be read.
        not_kept: Frames of cameras whose pictures were never kept without an overlay.
        near, alike: Duplicates that were left out: near in time to a harder frame, and alike.
    """

    frames: int = 0
    boxes: int = 0
    sources: set[str] = field(default_factory=set)
    failed: dict[str, SourceError] = field(default_factory=dict)
    lost: int = 0
    not_kept: int = 0
    near: int = 0
    alike: int = 0

    def count(self, frame: ExportedFrame) -> None:
        self.frames += 1
        self.boxes += len(frame.boxes)
        self.sources.add(frame.source)

    def as_values(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "boxes": self.boxes,
            "sources": len(self.sources),
            "duplicates": {"near": self.near, "alike": self.alike},
            "frames_lost": self.lost,
            "frames_not_kept": self.not_kept,
            "sources_failed": {name: error.message for name, error in self.failed.items()},
        }


def sources_of(folder: Path) -> list[ResultSource]:
    """Return the results below a folder; raises `UsageError` where there are none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    sources = find_sources(folder)
    if not sources:
        raise UsageError(
            f"{folder}: there are no results in it",
            hint="Name the output folder of run, watch, live or serve.",
        )
    return sources


def classes_of(sources: Iterable[ResultSource]) -> ClassNumbers:
    """Return the classes that the sources' models know, as their manifests tell."""
    engines = [one.manifest.content["engine"] for one in sources if one.manifest is not None]
    return ClassNumbers(engine.get("classes", ()) for engine in engines)


def export_all(
    sources: Sequence[ResultSource], dataset: DatasetFolder, progress: Progress
) -> ExportSummary:
    """Export every explained frame; a source that cannot be read costs its own frames only."""
    summary = ExportSummary()
    for done, source in enumerate(sources):
        progress(source.name, done, len(sources))
        for clip in source.clips:
            for records in _batches(read_records(clip)):
                for frame, _ in written(source, records, dataset, summary):
                    dataset.add(frame)
                    summary.count(frame)
    return summary


def written(
    source: ResultSource,
    records: Sequence[Record],
    dataset: DatasetFolder,
    summary: ExportSummary,
    reasons: Mapping[int, Reason] | None = None,
) -> Iterator[tuple[ExportedFrame, Picture]]:
    """Write some of a source's frames, and yield them with their pictures, in order of time.

    What goes wrong with the source is noted in the summary. `reasons` tell why a frame was chosen,
    by the frame's number in its source.
    """
    if source.name in summary.failed:
        return
    with closing(SavedMaps(source.manifest)) as maps:
        found = 0
        for record, original in _readable(source, records, summary):
            found += 1
            reason = (reasons or {}).get(record["frame"])
            yield dataset.write(source, record, original, maps, reason), original.picture
        if source.name in summary.failed:
            return
        missing = len(records) - found
        if is_camera(source):
            summary.not_kept += missing
        else:
            summary.lost += missing


def chosen_records(clip: RecordedClip, places: Iterable[int]) -> dict[int, Record]:
    """Return the records at some places of a clip, by their place, counted from 0."""
    wanted = set(places)
    return {place: one for place, one in enumerate(read_records(clip)) if place in wanted}


def _readable(
    source: ResultSource, records: Sequence[Record], summary: ExportSummary
) -> Iterator[tuple[Record, Original]]:
    try:
        yield from originals(source, records)
    except SourceError as error:
        summary.failed[source.name] = error


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
