"""All records below a folder, of files and of cameras, as one data set of Parquet files.

    DIR/frames/date=2025-03-01/part-00000.parquet
    DIR/detections/date=2025-03-01/part-00000.parquet

`date` is the partition, as Hive names it, in UTC: of a camera's frame the day of its capture, of a
file's the day on which it was explained. Rows are in the order of their source's name and of time.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from streamcam.errors import UsageError
from streamcam.files import PART, FolderLock, readable, replace_folder
from streamcam.media_errors import writing
from streamcam.report.results import RecordedClip, read_records
from streamcam.sinks.manifest import MANIFEST, read_manifest
from streamcam.sinks.parquet.record_tables import (
    DETECTION_TABLE,
    FRAME_TABLE,
    detection_rows,
    frame_row,
)
from streamcam.sinks.parquet.table_file import Column, Row, Table, TableFile
from streamcam.sinks.parquet.table_sinks import FRAMES
from streamcam.sinks.recording.naming import SEGMENT_RECORDS, dates, hours, parse_name

_PART_ROWS = 4_000_000
"""Rows after which a partition's next file begins: some 100 MB of detections."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a URL begins that was taken for a path, which leaves out a slash."""

_NAME = Column(
    "name", "category", "The results' path below their folder, without ending; a camera's name."
)
DATASET_TABLES = tuple(
    replace(table, columns=(_NAME, *table.columns)) for table in (FRAME_TABLE, DETECTION_TABLE)
)
"""Those of a source's own files, and in front the name of the results, which is unique."""


@dataclass(frozen=True, slots=True)
class DatedClip:
    """A file of records, and the day by which it comes into the data set."""

    day: date
    name: str
    records: Path
    live: bool


@dataclass(slots=True)
class DatasetSummary:
    """What was written; `without_records` are files that hold no record that can be read."""

    frames: int = 0
    detections: int = 0
    sources: int = 0
    days: int = 0
    without_records: int = 0


def find_clips(folder: Path) -> list[DatedClip]:
    """Return the records of all sources below a folder, by day, name and time.

    Raises:
        UsageError: There are none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    clips = sorted([*_files(folder), *_segments(folder)], key=_order)
    if not clips:
        raise UsageError(
            f"{folder}: there are no results in it",
            hint="Name the output folder of run, watch, live or serve.",
        )
    return clips


def write_dataset(
    clips: Iterable[DatedClip],
    to: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> DatasetSummary:
    """Write records as a data set into a folder, which appears when it is complete.

    Args:
        clips: Sorted, see `find_clips`.
        to: The folder; there is none yet, it is empty, or `overwrite` replaces an earlier data set.
        overwrite: Replace an earlier data set.
        progress: Called with the name of each source before it is read.

    Raises:
        UsageError: The folder holds something else.
        SinkError: It cannot be written, or another process writes there.
    """
    _check_replaceable(to, overwrite=overwrite)
    to = to.absolute()
    part = to.with_name(to.name + PART)
    lock = FolderLock(part)
    lock.acquire()
    try:
        for left in part.iterdir():  # by a killed process
            shutil.rmtree(left)
        writer = _DatasetWriter(part)
        summary = _write(clips, writer, progress)
        with writing(str(to)):
            replace_folder(part, to)
        return summary
    finally:
        shutil.rmtree(part, ignore_errors=True)
        lock.release()


def _write(
    clips: Iterable[DatedClip], writer: "_DatasetWriter", progress: Callable[[str], None]
) -> DatasetSummary:
    summary = DatasetSummary()
    sources: set[str] = set()
    try:
        for clip in clips:
            progress(clip.name)
            writer.close_before(clip.day)
            before = summary.frames
            for record in read_records(RecordedClip(clip.records, None)):
                summary.frames += 1
                summary.detections += len(record["detections"])
                writer.write(clip, record)
            if summary.frames > before:
                sources.add(clip.name)
            else:
                summary.without_records += 1
        writer.close_before(date.max)
    except BaseException:
        writer.abort()
        raise
    summary.sources, summary.days = len(sources), len(writer.days)
    return summary


class _Partition:
    """The files of one table and one day, the last of which is open."""

    def __init__(self, folder: Path, table: Table, first: int) -> None:
        self._folder = folder
        self._table = table
        self._rows = 0
        self.number = first
        self._file = self._next()

    def write(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if self._rows == _PART_ROWS:
                self._file.finish()
                self._file, self._rows = self._next(), 0
            self._file.write((row,))
            self._rows += 1

    def finish(self) -> None:
        self._file.finish()

    def abort(self) -> None:
        self._file.abort()

    def _next(self) -> TableFile:
        path = self._folder / f"part-{self.number:05}.parquet"
        self.number += 1
        return TableFile(path, self._table)


class _DatasetWriter:
    """Sorts rows into partitions; few of them are open at a time.

    Attributes:
        days: Those that have rows, and each table's number of files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[date, tuple[_Partition, ...]] = {}
        self.days: dict[date, tuple[int, ...]] = {}

    def write(self, clip: DatedClip, record: dict[str, Any]) -> None:
        day = clip.day
        if clip.live and "time_utc" in record:  # a segment may go on after midnight
            day = datetime.fromisoformat(record["time_utc"]).astimezone(UTC).date()
        name = {"name": clip.name}
        frames, detections = self._open.get(day) or self._begin(day)
        frames.write([{**name, **frame_row(record)}])
        detections.write({**name, **row} for row in detection_rows(record))

    def close_before(self, day: date) -> None:
        """Complete the partitions of earlier days: of them only a clock put back has rows."""
        for earlier in [one for one in self._open if one < day]:
            partitions = self._open.pop(earlier)
            for partition in partitions:
                partition.finish()
            self.days[earlier] = tuple(partition.number for partition in partitions)

    def abort(self) -> None:
        for partitions in self._open.values():
            for partition in partitions:
                partition.abort()

    def _begin(self, day: date) -> tuple[_Partition, ...]:
        first = self.days.get(day, (0, 0))
        self._open[day] = made = tuple(
            _Partition(self._folder / table.name / f"date={day}", table, number)
            for table, number in zip(DATASET_TABLES, first, strict=True)
        )
        return made


def _files(folder: Path) -> Iterator[DatedClip]:
    for path in folder.rglob(f"*{MANIFEST.ending}"):
        manifest = read_manifest(path)
        if manifest is None:
            continue
        records = manifest.outputs.get("records") or manifest.outputs.get(FRAMES.kind)
        if records is not None:
            name = readable(path.relative_to(folder)).removesuffix(MANIFEST.ending)
            ended = datetime.fromisoformat(manifest.content["ended"])
            yield DatedClip(ended.astimezone(UTC).date(), name, records, live=False)


def _segments(folder: Path) -> Iterator[DatedClip]:
    """Yield the records of cameras' segments, also where their video is deleted already."""
    for camera in (entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)):
        for begin, day in dates(camera):
            for _, hour in hours(begin, day):
                with suppress(OSError):  # retention may remove an hour meanwhile
                    for entry in os.scandir(hour):
                        found = parse_name(entry.name)
                        if found is not None and found[1] == SEGMENT_RECORDS:
                            yield DatedClip(begin.date(), camera.name, Path(entry.path), live=True)


def _order(clip: DatedClip) -> tuple[object, ...]:
    """Return what clips are sorted by: of segments of one second the second is called -2."""
    records = clip.records
    return clip.day, clip.name, records.parent, records.stem[:5], len(records.stem), records.stem


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    """Raise `UsageError` where a folder holds what a data set must not replace."""
    if _URL.match(str(folder)):
        raise UsageError(
            f"--output: {folder} is in object storage; data sets are written to folders",
            hint="Name a folder, and upload it.",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output: {folder} is a file")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if {path.name for path in folder.iterdir()} != {table.name for table in DATASET_TABLES}:
        raise UsageError(
            f"--output: {folder} is not empty, and holds no earlier data set",
            hint="Name a folder that does not exist yet.",
        )
    if not overwrite:
        raise UsageError(
            f"--output: {folder} holds an earlier data set",
            hint="Name another folder, or replace it with --overwrite.",
        )
