"""Lists of sources: a text file with one a line, standard input, or a column of a Parquet file."""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, BinaryIO

from streamcam.errors import UsageError
from streamcam.media_errors import opening
from streamcam.storage.object_reader import RemoteObject
from streamcam.storage.services import SERVICES
from streamcam.urls import scheme_of

STDIN = "-"

PARQUET = ".parquet"

_COLUMN = "uri"
"""The column that is taken where none is named, and there is more than one."""

_COMMENT = "#"


class SourceList:
    """The sources that a list names, read anew by each iteration and never held.

    In a text file (UTF-8) each line is a source; empty lines, and those that begin with `#`, are
    left out. Of a Parquet file one column is read; empty values are left out. Both may lie in
    object storage. Standard input is copied to a temporary file first.

    Args:
        place: A path, a URL, or "-" for standard input.
        column: Of a Parquet file; None: its only one, or "uri".

    Raises:
        UsageError: It is no list, there is no such column, or pyarrow is not installed.
        SourceUnavailableError: It cannot be read.
    """

    def __init__(self, place: str, column: str | None = None) -> None:
        self._place = place
        self._stdin = _spooled() if place == STDIN else None
        self._table = place.lower().endswith(PARQUET)
        if column is not None and not self._table:
            raise UsageError(
                f"--column: {place} is no Parquet file", hint="Of a text file every line is taken."
            )
        self._column = self._chosen(column) if self._table else ""

    def __iter__(self) -> Iterator[str]:
        return self._values() if self._table else self._lines()

    def _lines(self) -> Iterator[str]:
        with self._open() as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape") as lines:
            for number, line in enumerate(lines, start=1):
                source = line.strip()
                if "\0" in source:
                    raise UsageError(f"--sources-from: {self._place}, line {number}: is no text")
                if source and not source.startswith(_COMMENT):
                    yield source

    def _values(self) -> Iterator[str]:
        with self._open() as file:
            table = _parquet(file, self._place)
            for batch in table.iter_batches(columns=[self._column]):
                for value in batch.column(0).to_pylist():
                    if value:
                        yield str(value)

    def _chosen(self, column: str | None) -> str:
        """Return the column to read."""
        with self._open() as file:
            names: list[str] = _parquet(file, self._place).schema_arrow.names
        wanted = column or (names[0] if len(names) == 1 else _COLUMN)
        if wanted not in names:
            raise UsageError(
                f"--column: {self._place} has no column {wanted!r}",
                hint=f"Its columns are {', '.join(names) or 'none'}.",
            )
        return wanted

    def _open(self) -> AbstractContextManager[BinaryIO]:
        if self._stdin is not None:
            # Its descriptor is closed with what reads from it.
            copy = os.fdopen(os.dup(self._stdin.fileno()), "rb")
            copy.seek(0)
            return copy
        if scheme_of(self._place) in SERVICES:
            return closing(io.BufferedReader(RemoteObject(self._place).reader()))  # type: ignore[type-var]
        with opening(self._place):
            return Path(self._place).open("rb")


def _spooled() -> BinaryIO:
    """Copy standard input to a file that has no name."""
    file = tempfile.TemporaryFile(prefix="streamcam-")  # noqa: SIM115 - read to the end of the run
    while part := sys.stdin.buffer.read(1 << 20):
        file.write(part)
    file.flush()
    return file


def _parquet(file: BinaryIO, name: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UsageError(
            f"--sources-from: {name} needs pyarrow, which is not installed",
            hint="pip install 'streamcam[parquet]'",
        ) from error
    try:
        return ParquetFile(file)
    except ArrowInvalid as error:
        raise UsageError(f"--sources-from: {name} is no Parquet file") from error
