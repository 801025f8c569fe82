"""The ledger's part for intake: what is new, what has changed, what only moved."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from sqlite3 import Connection, Row

from streamcam.jobs.database import Database
from streamcam.jobs.identity import Identity, Stat
from streamcam.jobs.record import State
from streamcam.jobs.rows import key

VANISHED = "the file went away before it was explained"


class FileStatus(Enum):
    """What the ledger knows of a file that was seen."""

    NEW = auto()
    PENDING = auto()
    CHANGED = auto()
    KNOWN = auto()


class Settled(Enum):
    """What became of a file that stood still."""

    READY = auto()
    SAME = auto()
    RENAMED = auto()
    BUSY = auto()


class Arrivals:
    """What intake asks of the ledger; from any thread.

    Args:
        database: Where it is kept.
        clear: Whether the sources of jobs that are done are moved away or deleted.

    All methods raise `LedgerError`, or `DiskFullError` when there is no room.
    """

    def __init__(self, database: Database, *, clear: bool) -> None:
        self._database = database
        self._clear = clear

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the changes of a block one transaction: a thousand files cost as much as a few."""
        with self._database.transaction():
            yield

    def sight(self, root: Path, path: Path, stat: Stat) -> FileStatus:
        """Compare a file that was seen with what is known; note a new one as found."""
        row = self._known(path)
        if row is None:
            self._note_found(root, path, stat)
            return FileStatus.NEW
        if row["state"] == State.FOUND:
            return FileStatus.PENDING
        same = stat == Stat(row["size"], row["mtime_ns"], row["inode"])
        return FileStatus.KNOWN if same and row["after"] != "over" else FileStatus.CHANGED

    def _known(self, path: Path) -> Row | None:
        rows = self._database.rows(
            "SELECT state, size, mtime_ns, inode, after FROM jobs WHERE path = ?", (key(path),)
        )
        return rows[0] if rows else None

    def _note_found(self, root: Path, path: Path, stat: Stat) -> None:
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO jobs (root, path, state, size, mtime_ns, inode, arrived, queued)"
                " VALUES (?, ?, 'found', ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
                (key(root), key(path), stat.size, stat.mtime_ns, stat.inode, now, now),
            )

    def settle(self, path: Path, identity: Identity, stems: Sequence[str]) -> Settled:
        """Note that a file stands still: it becomes ready unless its content is known.

        Args:
            path: The file; it was sighted before.
            identity: What it is.
            stems: Names for its results, the best first; the last one is unmistakable.
        """
        with self._database.transaction() as connection:
            row = _by_path(connection, path)
            if row is None or row["state"] == State.RUNNING:
                return Settled.BUSY
            fresh = row["state"] == State.FOUND and row["fingerprint"] is None
            former = _former(connection, row["id"], identity) if fresh else None
            if former is not None:
                _rename(connection, former, row, identity, stems)
                return Settled.RENAMED
            ended = row["state"] in (State.DONE, State.FAILED, State.READY)
            if ended and row["fingerprint"] == identity.fingerprint:
                _note_same(connection, row, identity.stat, clear=self._clear)
                return Settled.SAME
            stem = row["stem"] or _free(connection, stems)
            _make_ready(connection, row, identity, stem, arrived=row["arrived"] if fresh else None)
            return Settled.READY

    def drop(self, path: Path) -> None:
        """Forget a file that went away before it was whole, or skip it if it had a job."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM jobs WHERE path = ? AND state = 'found' AND fingerprint IS NULL",
                (key(path),),
            )
            connection.execute(
                "UPDATE jobs SET state = 'skipped', ended = ?, error = ?"
                " WHERE path = ? AND state = 'found'",
                (time.time(), VANISHED, key(path)),
            )


def _by_path(connection: Connection, path: Path) -> Row | None:
    row: Row | None = connection.execute(
        "SELECT * FROM jobs WHERE path = ?", (key(path),)
    ).fetchone()
    return row


def _former(connection: Connection, found: int, identity: Identity) -> Row | None:
    """Return the job of a file with this content that is not where it was; we did not move it."""
    rows = connection.execute(
        "SELECT * FROM jobs WHERE fingerprint = ? AND id != ? AND after IS NULL",
        (identity.fingerprint, found),
    ).fetchall()
    return next((row for row in rows if not os.path.lexists(row["path"])), None)


def _rename(
    connection: Connection, former: Row, found: Row, identity: Identity, stems: Sequence[str]
) -> None:
    """Let the job of a renamed file go on under the new name.

    Results that are there, or are being written, keep their names.
    """
    connection.execute("DELETE FROM jobs WHERE id = ?", (found["id"],))
    stat = identity.stat
    connection.execute(
        "UPDATE jobs SET root = ?, path = ?, size = ?, mtime_ns = ?, inode = ? WHERE id = ?",
        (found["root"], found["path"], stat.size, stat.mtime_ns, stat.inode, former["id"]),
    )
    if former["state"] in (State.FOUND, State.READY, State.SKIPPED):
        connection.execute("UPDATE jobs SET stem = NULL WHERE id = ?", (former["id"],))
        stem = _free(connection, stems)
        _make_ready(connection, former, identity, stem, arrived=former["arrived"])


def _note_same(connection: Connection, row: Row, stat: Stat, *, clear: bool) -> None:
    """The content is what it was: only the file's time or inode changed, or it came again."""
    came_again = row["state"] == State.DONE and row["after"] == "over"
    after = ("due" if clear else None) if came_again else row["after"]
    connection.execute(
        "UPDATE jobs SET size = ?, mtime_ns = ?, inode = ?, after = ? WHERE id = ?",
        (stat.size, stat.mtime_ns, stat.inode, after, row["id"]),
    )


def _free(connection: Connection, stems: Sequence[str]) -> bytes:
    for stem in stems:
        name = os.fsencode(stem)
        taken = connection.execute("SELECT 1 FROM jobs WHERE stem = ?", (name,)).fetchone()
        if taken is None:
            return name
    return os.fsencode(f"{stems[-1]}~{time.time_ns():x}")


def _make_ready(
    connection: Connection, row: Row, identity: Identity, stem: bytes, *, arrived: float | None
) -> None:
    """Queue a job; results of other content under its name are to be replaced."""
    stat = identity.stat
    redo = row["redo"] or row["fingerprint"] not in (None, identity.fingerprint)
    place = time.time() if arrived is None else arrived
    connection.execute(
        "UPDATE jobs SET state = 'ready', stem = ?, size = ?, mtime_ns = ?, inode = ?,"
        " fingerprint = ?, arrived = ?, queued = ?, not_before = 0, attempts = 0, crashes = 0,"
        " kills = 0, redo = ?, error = NULL, hint = NULL, after = NULL WHERE id = ?",
        (
            *(stem, stat.size, stat.mtime_ns, stat.inode, identity.fingerprint),
            *(place, place, redo, row["id"]),
        ),
    )
