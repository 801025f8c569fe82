"""What the job store knows of a file: its job, and the answers about it."""

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import TypeAlias

from streamcam.files import readable
from streamcam.fingerprint import FileIdentity, FileStat
from streamcam.jobs.owner import OUT_OF_MEMORY

# An end without a trace (kill -9, power) rarely is the file's
# fault, but a file that makes the kernel kill us each time must not do so without end. In 100
# random kills of a soak one file took part in 24, and still was not to blame.
_KILLS_PER_ATTEMPT = 20

# A process that is killed for memory pulls down what runs beside it. The second time the file ran
# alone: it is to blame.
_DEATHS_FOR_MEMORY = 2

# Columns whose values are those of a job record's fields.
_SAME_COLUMNS = (
    *("id", "arrived", "not_before", "started", "ended", "attempts", "crashes", "kills"),
    *("owner", "heartbeat", "oom_kills", "error", "hint", "engine_key"),
)


class JobState(StrEnum):
    """State of a job: found -> ready -> running -> done | failed | skipped."""

    FOUND = "found"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class FileStatus(Enum):
    """How a file in a watched folder compares with the job store."""

    NEW = auto()
    PENDING = auto()
    """Known, and not complete yet."""
    CHANGED = auto()
    KNOWN = auto()


class EnqueueResult(Enum):
    """What became of a file that is complete."""

    READY = auto()
    UNCHANGED = auto()
    """Its content has a job already."""
    RENAMED = auto()
    """It is the file of another job under a new name."""
    RUNNING = auto()
    """Its job is running: nothing was changed."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One file's row in the job store. Times are seconds since 1970, UTC.

    Attributes:
        root: The watched folder that it lies in.
        stem: Name of its results below the output folder, without ending; None before it is ready.
        identity: None before the file is complete.
        arrived: When the file, or its present content, was first found.
        not_before: When it may be tried (again).
        attempts: How often it was tried and failed, the running attempt included.
        crashes, kills: How often the process crashed, or ended without a trace, while it ran.
        redo: Whether existing results belong to other content, or are to be made again.
        owner: The process that runs it, which updates `heartbeat` and `oom_kills`.
        oom_kills: How many processes the kernel had killed for memory at the last heartbeat; None
            where it does not tell.
        post_action: Whether the source is still to be moved or deleted ("due"), or was ("over").
        engine_key: Digest of what the results were made with; None where that is not known.
    """

    id: int
    root: Path
    path: Path
    stem: str | None
    state: JobState
    identity: FileIdentity | None
    arrived: float
    not_before: float
    started: float | None
    ended: float | None
    attempts: int
    crashes: int
    kills: int
    redo: bool
    owner: str | None
    heartbeat: float | None
    oom_kills: int | None
    error: str | None
    hint: str | None
    outputs: Mapping[str, Path]
    post_action: str | None
    engine_key: str | None

    @property
    def suspect(self) -> bool:
        """Whether it may have crashed the process: it then runs alone, to spare other jobs."""
        return self.crashes > 0

    @property
    def name(self) -> str:
        return readable(self.path)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "JobRecord":
        fingerprint = row["fingerprint"]
        stat = FileStat(row["size"], row["mtime_ns"], row["inode"])
        return cls(
            root=Path(os.fsdecode(row["root"])),
            path=Path(os.fsdecode(row["path"])),
            stem=None if row["stem"] is None else os.fsdecode(row["stem"]),
            state=JobState(row["state"]),
            identity=None if fingerprint is None else FileIdentity(stat, fingerprint),
            redo=bool(row["redo"]),
            outputs={kind: Path(path) for kind, path in json.loads(row["outputs"]).items()},
            post_action=row["after"],
            **{name: row[name] for name in _SAME_COLUMNS},
        )


RecoveredJob: TypeAlias = tuple[JobRecord, str | None]
"""A job, as it was, of a process that has ended; and why it was given up, if it was."""


def reason_to_give_up(crashes: int, kills: int, crash: str | None, max_attempts: int) -> str | None:
    """Return why a job that was running when its process ended is not tried again, if so.

    The numbers of crashes and kills include this time's, which `crash` describes.
    """
    limit = min(_DEATHS_FOR_MEMORY, max_attempts) if crash == OUT_OF_MEMORY else max_attempts
    if crash is not None and crashes >= limit:
        return f"the process crashed {crashes} times while it worked on this file: {crash}"
    if kills >= max_attempts * _KILLS_PER_ATTEMPT:
        return f"the process was killed {kills} times while it worked on this file"
    return None
