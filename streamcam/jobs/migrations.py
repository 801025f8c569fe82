"""The ledger's shape, and the steps by which an older one becomes today's."""

import sqlite3
import time

from streamcam.errors import LedgerError

# A step is never changed once it was released: add another one.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
)

_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY,
        applied REAL NOT NULL
    )
"""


def migrate(
    connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS
) -> None:
    """Bring a ledger to today's shape: all steps that are missing, or none of them.

    Raises:
        LedgerError: The ledger was made by a newer streamcam.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLE)
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
        raise LedgerError(
            f"the ledger was made by a newer streamcam (version {version}, known: {known})",
            hint="Update streamcam, or name another folder with --state.",
        )
    return int(version)
