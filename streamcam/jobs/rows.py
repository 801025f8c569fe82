"""Between the ledger's rows and job records."""

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from streamcam.jobs.identity import Identity, Stat
from streamcam.jobs.record import JobRecord, State


def from_row(row: sqlite3.Row) -> JobRecord:
    """Return a row as a record."""
    stat = Stat(row["size"], row["mtime_ns"], row["inode"])
    fingerprint = row["fingerprint"]
    return JobRecord(
        id=row["id"],
        root=Path(os.fsdecode(row["root"])),
        path=Path(os.fsdecode(row["path"])),
        stem=None if row["stem"] is None else os.fsdecode(row["stem"]),
        state=State(row["state"]),
        identity=None if fingerprint is None else Identity(stat, fingerprint),
        arrived=row["arrived"],
        not_before=row["not_before"],
        started=row["started"],
        ended=row["ended"],
        attempts=row["attempts"],
        crashes=row["crashes"],
        kills=row["kills"],
        redo=bool(row["redo"]),
        owner=row["owner"],
        heartbeat=row["heartbeat"],
        error=row["error"],
        hint=row["hint"],
        outputs={kind: Path(path) for kind, path in json.loads(row["outputs"]).items()},
        after=row["after"],
    )


def outputs_text(outputs: Mapping[str, Path]) -> str:
    """Return outputs as they are stored; names that are not UTF-8 survive as escapes."""
    return json.dumps({kind: str(path) for kind, path in outputs.items()})


def key(path: Path) -> bytes:
    """Return a path as it is stored: the bytes that the file system knows."""
    return os.fsencode(path)
