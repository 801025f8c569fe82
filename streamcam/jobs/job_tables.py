"""The tables of the job store."""

from streamcam.database import DatabaseKind, Migrations
from streamcam.errors import JobStoreError

FILE_NAME = "ledger.sqlite3"

_MIGRATIONS: Migrations = (
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

JOB_STORE = DatabaseKind(
    "the job store",
    JobStoreError,
    _MIGRATIONS,
    when_damaged="Move it away: a new one finds the results that are there by their manifests.",
    elsewhere="--state",
)
