"""SQLite files of several threads and processes: connection, transactions, errors, migrations."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from streamcam.errors import DiskFullError, StoreError, StreamcamError

SqlValue: TypeAlias = str | bytes | int | float | None
Migrations: TypeAlias = tuple[tuple[str, ...], ...]

# Another process holds the database for one transaction: measured at 0.1 ms, 25 ms at worst, 0.3 s
# for the first scan of 10,000 files. Ten seconds without a turn mean that something is broken.
_BUSY_SECONDS = 10.0

# Pause between attempts where SQLite itself does not wait.
_BUSY_RETRY_SECONDS = 0.01

_MIGRATIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY,
        applied REAL NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """What a database is for.

    Attributes:
        name: What messages call it, e.g. "the job store".
        error: Raised where it cannot be used.
        migrations: The statements that made each version of its tables from the one before. A
            migration is never changed once it was released: another one is added.
        when_damaged: What people can do about a damaged file.
        elsewhere: How people name another folder for it.
    """

    name: str
    error: type[StoreError]
    migrations: Migrations
    when_damaged: str
    elsewhere: str


class Database:
    """One SQLite connection that threads share; a missing file is made, with its folder.

    All methods, and opening, raise the kind's error where the database cannot be used or was made
    by a newer streamcam, and `DiskFullError`.
    """

    def __init__(self, path: Path, kind: DatabaseKind) -> None:
        self._path = path
        self._kind = kind
        self._lock = threading.RLock()
        self._depth = 0
        self._make_folder()
        with self._mapped_errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                _enable_wal(self._connection)
                # In WAL mode a killed process loses nothing; after a power cut the last changes are
                # gone, which costs less than a sync for every change.
                self._connection.execute("PRAGMA synchronous = NORMAL")
                migrate(self._connection, kind)
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block as one transaction; of nested blocks the outermost one counts."""
        with self._lock, self._mapped_errors():
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def execute(self, statement: str, *values: SqlValue) -> int:
        """Execute a statement in a transaction and return the number of changed rows."""
        with self.transaction():
            return self._connection.execute(statement, values).rowcount

    def rows(self, statement: str, *values: SqlValue) -> list[sqlite3.Row]:
        with self._lock, self._mapped_errors():
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._depth == 0 and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._mapped(error) from error

    def _mapped(self, error: sqlite3.Error) -> StreamcamError:
        if _code(error) == sqlite3.SQLITE_FULL:
            return DiskFullError(f"{self._path}: no space left on the disk", hint="Free space.")
        if isinstance(error, sqlite3.OperationalError):
            return self._kind.error(f"cannot use {self._kind.name} {self._path}: {error}")
        return self._kind.error(
            f"{self._kind.name} {self._path} is damaged: {error}", hint=self._kind.when_damaged
        )

    def _make_folder(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._kind.error(
                f"cannot use the folder {self._path.parent} of {self._kind.name}: {error.strerror}",
                hint=f"Name another one with {self._kind.elsewhere}.",
            ) from error


def placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def migrate(connection: sqlite3.Connection, kind: DatabaseKind) -> None:
    """Bring a database to the current schema: all migrations that are missing, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_MIGRATIONS_TABLE)
        version = _version(connection, kind)
        for number, statements in enumerate(kind.migrations[version:], version + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (number, time.time()))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, kind: DatabaseKind) -> int:
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    known = len(kind.migrations)
    if version > known:
        raise kind.error(
            f"{kind.name} was made by a newer streamcam (version {version}, known: {known})",
            hint=f"Update streamcam, or name another folder with {kind.elsewhere}.",
        )
    return int(version)


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite's timeout does not apply if two processes do it."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_RETRY_SECONDS)
        else:
            return


def _code(error: sqlite3.Error) -> int | None:
    """Return SQLite's error code; the errors that the Python module raises itself have none."""
    return getattr(error, "sqlite_errorcode", None)
