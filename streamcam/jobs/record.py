"""A file as a job: the words that intake, ledger and runner share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamcam.files import readable
from streamcam.jobs.identity import Identity


class State(StrEnum):
    """Where a job stands: found -> ready -> running -> done | failed | skipped."""

    FOUND = "found"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What the ledger knows of one file. Times are seconds since 1970, UTC.

    Attributes:
        id: Its number in the ledger.
        root: The watched folder that it lies in.
        path: The file, absolute.
        stem: Name of its results below the output folder, without ending; None before it is ready.
        state: Where the job stands.
        identity: What the file was when it stood still; None before that.
        arrived: When the file, or its present content, was first seen.
        not_before: When it may be tried (again).
        started: When it was last claimed.
        ended: When it was done, failed or skipped.
        attempts: How often it was tried and failed, the running attempt included.
        crashes: How often the process crashed while this job ran.
        kills: How often the process ended without a trace while this job ran.
        redo: Whether results that are there belong to something else, or are to be made again.
        owner: The process that runs it.
        heartbeat: When the owner last said that it lives.
        error: What is wrong, if anything.
        hint: What to do about it.
        outputs: The files that were written, by kind.
        after: Whether the source is still to be moved or deleted ("due"), or was ("over").
    """

    id: int
    root: Path
    path: Path
    stem: str | None
    state: State
    identity: Identity | None
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
    after: str | None

    @property
    def suspect(self) -> bool:
        """Whether it may have ended the process: it then runs alone, to spare its neighbours."""
        return self.crashes > 0

    @property
    def name(self) -> str:
        """The path for people and JSON."""
        return readable(self.path)
