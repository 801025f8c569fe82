"""The ledger's file: one SQLite connection that threads take turns with."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tenacity

from streamcam.errors import DiskFullError, LedgerError, StreamcamError
from streamcam.jobs.migrations import migrate

FILE_NAME = "ledger.sqlite3"

# Another process holds the ledger for one transaction: measured at 0.1 ms, 25 ms at worst, 0.3 s
# for the first sight of 10,000 files. Ten seconds without a turn mean that something is broken.
_BUSY_SECONDS = 10.0

# How long to wait before asking again, where SQLite itself does not wait.
_AGAIN_SECONDS = 0.01


class Database:
    """A connection, its transactions, and its errors turned into ours.

    Args:
        path: The file; it is made, with its folder, when it is missing.

    Raises:
        LedgerError: It cannot be opened, is damaged, or was made by a newer streamcam.
        DiskFullError: There is no room for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        _make_folder(path.parent)
        with self._errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                self._configure()
                migrate(self._connection)
            except BaseException:
                self._connection.close()
                raise

    def _configure(self) -> None:
        _journal_ahead(self._connection)
        # In WAL mode a killed process loses nothing; after a power cut the last jobs are done
        # again, which costs less than a sync for every step of every job.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Take the ledger for a while: all of what is done in the block happens, or nothing.

        Blocks may be nested; the outermost one counts.

        Raises:
            LedgerError: The ledger cannot be used.
            DiskFullError: There is no room.
        """
        with self._lock, self._errors():
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return what a query finds.

        Raises:
            LedgerError: The ledger cannot be used.
        """
        with self._lock, self._errors():
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._ours(error) from error

    def _ours(self, error: sqlite3.Error) -> StreamcamError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return DiskFullError(f"{self._path}: no room left to write", hint="Make room.")
        if isinstance(error, sqlite3.OperationalError):
            return LedgerError(f"cannot use the ledger {self._path}: {error}")
        return LedgerError(
            f"the ledger {self._path} is damaged: {error}",
            hint="Move it away: a new one finds the results that are there by their manifests.",
        )


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_busy),
    stop=tenacity.stop_after_delay(_BUSY_SECONDS),
    wait=tenacity.wait_fixed(_AGAIN_SECONDS),
    reraise=True,
)
def _journal_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new ledger to WAL mode; SQLite refuses at once whoever does that beside another."""
    connection.execute("PRAGMA journal_mode = WAL")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"cannot use the state folder {folder}: {error.strerror}",
            hint="Name another one with --state.",
        ) from error
