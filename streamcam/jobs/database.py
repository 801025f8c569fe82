"""The job store's SQLite file: connection, transactions, errors, schema and its migrations."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from streamcam.errors import DiskFullError, JobStoreError, StreamcamError

FILE_NAME = "ledger.sqlite3"

SqlValue: TypeAlias = str | bytes | int | float | None
Migrations: TypeAlias = tuple[tuple[str, ...], ...]

# Another process holds the database for one transaction: measured at 0.1 ms, 25 ms at worst, 0.3 s
# for the first scan of 10,000 files. Ten seconds without a turn mean that something is broken.
_BUSY_SECONDS = 10.0

# Pause between attempts where SQLite itself does not wait.
_BUSY_RETRY_SECONDS = 0.01

# A migration is never changed once it was released: add another one.
MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY,
            root BLOB NOT NULL,
            path BLOB NOT NULL UNIQUE,
            stem BLOB UNIQUE,
            state TEXT NOT NULL
                CHECK (state IN ('found', 'ready', 'running', 'done', 'failed', 'skipped')),
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            fingerprint TEXT,
            arrived REAL NOT NULL,
            queued REAL NOT NULL,
            not_before REAL NOT NULL DEFAULT 0,
            started REAL,
            ended REAL,
            attempts INTEGER NOT NULL DEFAULT 0,
            crashes INTEGER NOT NULL DEFAULT 0,
            kills INTEGER NOT NULL DEFAULT 0,
            redo INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            heartbeat REAL,
            error TEXT,
            hint TEXT,
            outputs TEXT NOT NULL DEFAULT '{}',
            after TEXT CHECK (after IN ('due', 'over')),
            CHECK ((state = 'running') = (owner IS NOT NULL))
        )
        """,
        "CREATE INDEX jobs_by_state ON jobs (state, queued, id)",
        "CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint)",
        "CREATE INDEX jobs_with_after_due ON jobs (id) WHERE after = 'due'",
    ),
    # Digest of what the results were made with; NULL where an earlier version made them.
    ("ALTER TABLE jobs ADD COLUMN engine_key TEXT",),
    # What the kernel had killed for memory when the owner was last seen; NULL where not known.
    ("ALTER TABLE jobs ADD COLUMN oom_kills INTEGER",),
)

_MIGRATIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY,
        applied REAL NOT NULL
    )
"""


class Database:
    """One SQLite connection that threads share; a missing file is made, with its folder.

    All methods, and opening, raise `JobStoreError` where the database cannot be used or was made by
    a newer streamcam, and `DiskFullError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        _make_folder(path.parent)
        with self._mapped_errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                _enable_wal(self._connection)
                # In WAL mode a killed process loses nothing; after a power cut the last jobs are
                # done again, which costs less than a sync for every change of every job.
                self._connection.execute("PRAGMA synchronous = NORMAL")
                migrate(self._connection)
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
            return JobStoreError(f"cannot use the job store {self._path}: {error}")
        return JobStoreError(
            f"the job store {self._path} is damaged: {error}",
            hint="Move it away: a new one finds the results that are there by their manifests.",
        )


def placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def migrate(connection: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> None:
    """Bring a database to the current schema: all migrations that are missing, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_MIGRATIONS_TABLE)
        version = _version(connection, len(migrations))
        for number, statements in enumerate(migrations[version:], version + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (number, time.time()))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, known: int) -> int:
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    if version > known:
        raise JobStoreError(
            f"the job store was made by a newer streamcam (version {version}, known: {known})",
            hint="Update streamcam, or name another folder with --state.",
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JobStoreError(
            f"cannot use the state folder {folder}: {error.strerror}",
            hint="Name another one with --state.",
        ) from error
