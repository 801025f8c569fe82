"""What the job store knows of a file, and what it answers."""

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path

from streamcam.files import readable
from streamcam.jobs.watched_files import FileIdentity, FileStat

# An end without a trace (kill -9, power, the kernel's out-of-memory killer) rarely is the file's
# fault, but a file that makes the kernel kill us each time must not do so without end. In 100
# random kills of a soak one file took part in 24, and still was not to blame.
_KILLS_PER_ATTEMPT = 20


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
        path: The file, absolute.
        stem: Name of its results below the output folder, without ending; None before it is ready.
        identity: Identity of the complete file; None before it is complete.
        arrived: When the file, or its present content, was first found.
        not_before: When it may be tried (again).
        started: When it was last claimed.
        attempts: How often it was tried and failed, the running attempt included.
        crashes: How often the process crashed while this job ran.
        kills: How often the process ended without a trace while this job ran.
        redo: Whether existing results belong to other content, or are to be made again.
        owner: The process that runs it, which updates `heartbeat`.
        outputs: The files that were written, by kind.
        post_action: Whether the source is still to be moved or deleted ("due"), or was ("over").
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
    error: str | None
    hint: str | None
    outputs: Mapping[str, Path]
    post_action: str | None

    @property
    def suspect(self) -> bool:
        """Whether it may have crashed the process: it then runs alone, to spare other jobs."""
        return self.crashes > 0

    @property
    def name(self) -> str:
        """The path for people and JSON."""
        return readable(self.path)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "JobRecord":
        fingerprint = row["fingerprint"]
        stat = FileStat(row["size"], row["mtime_ns"], row["inode"])
        return cls(
            id=row["id"],
            root=Path(os.fsdecode(row["root"])),
            path=Path(os.fsdecode(row["path"])),
            stem=None if row["stem"] is None else os.fsdecode(row["stem"]),
            state=JobState(row["state"]),
            identity=None if fingerprint is None else FileIdentity(stat, fingerprint),
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
            post_action=row["after"],
        )


@dataclass(frozen=True, slots=True)
class RecoveredJob:
    """A job that was taken from a process that has ended.

    Attributes:
        job: The job, as it was.
        state: READY to be tried again, or FAILED when it was given up.
        reason: Why it was given up.
    """

    job: JobRecord
    state: JobState
    reason: str | None = None


def reason_to_give_up(crashes: int, kills: int, crash: str | None, max_attempts: int) -> str | None:
    """Return why a job that was running when its process ended is not tried again, if so.

    `crashes` and `kills` (ends without a trace) include this time's, which `crash` describes.
    """
    if crash is not None and crashes >= max_attempts:
        return f"the process crashed {crashes} times while it worked on this file: {crash}"
    if kills >= max_attempts * _KILLS_PER_ATTEMPT:
        return f"the process was killed {kills} times while it worked on this file"
    return None
