"""The sinks that write a source's records as Parquet: a file of frames, and one of detections."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from streamcam.errors import SinkError
from streamcam.sinks.base import FileSink, ResultFile
from streamcam.sinks.parquet.record_tables import (
    DETECTION_TABLE,
    FRAME_TABLE,
    detection_rows,
    frame_row,
    records_of,
)
from streamcam.sinks.parquet.table_file import Row, Table, TableFile, read_rows
from streamcam.sinks.records import record
from streamcam.types import Frame, FrameResult, Item, Picture

FRAMES = ResultFile(
    "frames", ".frames.parquet", "table of frames", "application/vnd.apache.parquet"
)
DETECTIONS = ResultFile(
    "detections",
    ".detections.parquet",
    "table of detections",
    "application/vnd.apache.parquet",
)


class TableSink(FileSink):
    """Writes one table of a source; the subclasses say which, and which rows a frame has."""

    table: ClassVar[Table]

    def __init__(self, path: Path) -> None:
        self._file = TableFile(path, self.table)
        self._is_empty = True

    @abstractmethod
    def rows(self, result: FrameResult) -> Iterable[Row]: ...

    def write(self, item: Item, picture: Picture | None = None) -> None:  # noqa: ARG002
        if isinstance(item, Frame):
            return
        self._file.write(self.rows(item))
        self._is_empty = False

    def finish(self) -> Path:
        if self._is_empty:
            raise SinkError(f"{self._file.path}: no frame was explained, so there are no records")
        return self._file.finish()

    def abort(self) -> None:
        self._file.abort()


class FrameTableSink(TableSink):
    result_file = FRAMES
    table = FRAME_TABLE

    def rows(self, result: FrameResult) -> Iterable[Row]:
        return [frame_row(record(result))]


class DetectionTableSink(TableSink):
    result_file = DETECTIONS
    table = DETECTION_TABLE

    def rows(self, result: FrameResult) -> Iterable[Row]:
        return detection_rows(record(result))


def read_record_tables(frames: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a source that has no JSON lines, as those would hold them.

    Args:
        frames: Its file of frames, beside which that of its detections lies.

    Raises:
        UsageError: pyarrow is not installed.
        SinkError: A file is missing or cannot be read.
    """
    stem = frames.name.removesuffix(FRAMES.ending)
    detections = frames.with_name(stem + DETECTIONS.ending)
    return records_of(read_rows(frames), read_rows(detections))
