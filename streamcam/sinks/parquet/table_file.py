"""Parquet files that are written in batches of rows, with pyarrow, which is optional.

Nothing here imports pyarrow before a file is written or read.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from streamcam.errors import SinkError, UsageError
from streamcam.files import PartFile
from streamcam.media_errors import writing
from streamcam.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Row: TypeAlias = Mapping[str, Any]
"""Plain values by column; a missing one is null."""

ROW_GROUP = 122_880
"""Rows that are written together, as many as DuckDB writes: frames of seven hours at five a second,
20 MB. Readers skip whole groups by the least and greatest value of each column."""

_BATCH = 1024
"""Rows held as Python's values, which take ten times as much."""

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        type: pyarrow's name, "int64", "double", "bool", ...; "category" for text of few different
            values, "timestamp" for microseconds in UTC, "strings" for a list of texts, or the
            columns of a list of structs.
    """

    name: str
    type: "str | Sequence[Column]"
    description: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What a Parquet file holds: a row for each `subject`, e.g. "explained frame"."""

    name: str
    subject: str
    columns: Sequence[Column]

    def arrow_schema(self) -> "pa.Schema":
        """Return it as pyarrow's; the descriptions are metadata of the fields."""
        import pyarrow as pa

        fields = [_field(column) for column in self.columns]
        about = {
            "description": f"A row for each {self.subject}.",
            "streamcam_version": __version__,
            "schema_version": SCHEMA_VERSION,
        }
        return pa.schema(fields, metadata=about)


def has_pyarrow() -> bool:
    """Return whether pyarrow is installed; it is not loaded."""
    return find_spec("pyarrow") is not None


def require_pyarrow(what: str) -> None:
    """Raise `UsageError` where pyarrow, which something needs, is not installed."""
    if not has_pyarrow():
        raise UsageError(f"{what} needs pyarrow", hint="pip install 'streamcam[parquet]'")


class TableFile:
    """Writes one Parquet file beside its name, and publishes it complete or not at all.

    Rows are held until there are enough for a row group; every method but `abort` may raise
    `SinkError`.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._file = PartFile(path)
        self._table = table
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._stream: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    @property
    def path(self) -> Path:
        return self._file.path

    def write(self, rows: Iterable[Row]) -> None:
        if self._writer is None:
            self._open()
        for row in rows:
            self._rows.append(row)
            if len(self._rows) == _BATCH:
                self._pack()

    def finish(self) -> Path:
        """Publish the file, without rows if there are none, and return its path."""
        if self._writer is None:
            self._open()
        assert self._writer is not None
        assert self._stream is not None
        self._pack()
        self._write_group()
        with writing(str(self._file.path)):
            self._writer.close()
            self._stream.close()
        return self._file.publish()

    def abort(self) -> None:
        """Leave nothing; idempotent."""
        self._rows.clear()
        self._batches.clear()
        if self._stream is None:
            return
        with suppress(OSError):  # the rest may not fit on the disk
            if self._writer is not None and self._writer.is_open:
                self._writer.close()
        with suppress(OSError):
            self._stream.close()
        self._file.discard()

    def _open(self) -> None:
        from pyarrow.parquet import ParquetWriter

        with writing(str(self._file.path)):
            self._stream = self._file.prepare().open("wb")
            self._writer = ParquetWriter(
                self._stream, self._table.arrow_schema(), compression="zstd"
            )

    def _pack(self) -> None:
        import pyarrow as pa

        assert self._writer is not None
        rows, self._rows = self._rows, []
        self._batches.append(pa.RecordBatch.from_pylist(rows, self._writer.schema))
        if sum(len(batch) for batch in self._batches) >= ROW_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa

        assert self._writer is not None
        batches, self._batches = self._batches, []
        group = pa.Table.from_batches(batches, self._writer.schema).unify_dictionaries()
        with writing(str(self._file.path)):
            self._writer.write_table(group, ROW_GROUP)


def read_rows(path: Path) -> Iterable[dict[str, Any]]:
    """Yield the rows of a Parquet file, a row group in memory at a time.

    Raises:
        UsageError: pyarrow is not installed.
        SinkError: The file cannot be read.
    """
    require_pyarrow(f"{path.name}, a Parquet file,")
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise SinkError(f"{path}: cannot be read: {error}") from error


def join_tables(table: Table, parts: Sequence[Path], target: Path) -> Path:
    """Write the rows of all parts into one file, and return its path; raises as `read_rows`."""
    file = TableFile(target, table)
    try:
        for part in parts:
            file.write(read_rows(part))
        return file.finish()
    except BaseException:
        file.abort()
        raise


def _field(column: Column) -> "pa.Field":
    import pyarrow as pa

    about = {"description": column.description}
    return pa.field(column.name, _type(column.type), column.nullable, about)


def _type(kind: "str | Sequence[Column]") -> "pa.DataType":
    import pyarrow as pa

    if not isinstance(kind, str):
        return pa.list_(pa.struct([_field(column) for column in kind]))
    if kind == "category":
        return pa.dictionary(pa.int32(), pa.string())
    if kind == "timestamp":
        return pa.timestamp("us", "UTC")
    if kind == "strings":
        return pa.list_(pa.string())
    return pa.type_for_alias(kind)
