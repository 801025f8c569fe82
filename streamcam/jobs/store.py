"""The job store: every file of the watched folders as a job, in one SQLite table."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from os import fsencode
from os.path import lexists
from pathlib import Path
from sqlite3 import Row

from streamcam.database import Database, SqlValue, placeholders
from streamcam.errors import UsageError
from streamcam.fingerprint import FileIdentity, FileStat
from streamcam.jobs.job_record import (
    EnqueueResult,
    FileStatus,
    JobRecord,
    JobState,
    RecoveredJob,
    reason_to_give_up,
)
from streamcam.jobs.job_tables import FILE_NAME, JOB_STORE
from streamcam.jobs.owner import (
    OUT_OF_MEMORY,
    count_oom_kills,
    is_abandoned,
    killed_for_memory,
)
from streamcam.types import JobReport

_VANISHED = "the file went away before it was explained"


class JobStore:
    """Jobs for intake, runners and people; usable from any thread, by several processes at once.

    Each change is one transaction that also checks its precondition (the job is still the owner's,
    or still ready). All methods raise `JobStoreError`, and those that write `DiskFullError`. With
    `clears_sources` the source of a job that is done is to be moved or deleted.
    """

    def __init__(self, path: Path, *, clears_sources: bool = False) -> None:
        self._database = Database(path, JOB_STORE)
        self._post_action = "due" if clears_sources else None

    @classmethod
    def open_existing(cls, state: Path) -> "JobStore":
        """Open the store in a state folder; raises `UsageError` where there is none."""
        path = state / FILE_NAME
        if not path.exists():
            raise UsageError(
                f"no job store in {state}",
                hint="`streamcam watch` makes one; name its folder with --state or --output.",
            )
        return cls(path)

    def close(self) -> None:
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Make the changes of a block one transaction: a thousand files cost as much as a few."""
        return self._database.transaction()

    # For intake

    def check_file(self, root: Path, path: Path, stat: FileStat) -> FileStatus:
        """Compare a file with its job, if it has one; add a new file as found."""
        row = self._row("SELECT * FROM jobs WHERE path = ?", fsencode(path))
        if row is None:
            now = time.time()
            self._database.execute(
                "INSERT INTO jobs (root, path, state, size, mtime_ns, inode, arrived, queued)"
                " VALUES (?, ?, 'found', ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
                *(fsencode(root), fsencode(path), *stat, now, now),
            )
            return FileStatus.NEW
        if row["state"] == JobState.FOUND:
            return FileStatus.PENDING
        same = stat == FileStat(row["size"], row["mtime_ns"], row["inode"])
        return FileStatus.KNOWN if same and row["after"] != "over" else FileStatus.CHANGED

    def enqueue(self, path: Path, identity: FileIdentity, stems: Sequence[str]) -> EnqueueResult:
        """Queue the job of a file that `check_file` has added, unless its content is known.

        Of `stems`, the names for its results, the first that is free is taken; the last is unique.
        """
        with self.transaction():
            row = self._row("SELECT * FROM jobs WHERE path = ?", fsencode(path))
            if row is None or row["state"] == JobState.RUNNING:
                return EnqueueResult.RUNNING
            is_new = row["state"] == JobState.FOUND and row["fingerprint"] is None
            former = self._job_before_rename(row["id"], identity) if is_new else None
            if former is not None:
                self._rename(former, row, identity, stems)
                return EnqueueResult.RENAMED
            processed = row["state"] in (JobState.DONE, JobState.FAILED, JobState.READY)
            # Of a file that we had moved away and that came again, its run finds the results.
            came_again = row["state"] == JobState.DONE and row["after"] == "over"
            if processed and row["fingerprint"] == identity.fingerprint and not came_again:
                self._note_unchanged(row, identity.stat)
                return EnqueueResult.UNCHANGED
            stem = row["stem"] or self._free_stem(stems)
            self._make_ready(row, identity, stem, row["arrived"] if is_new else time.time())
            return EnqueueResult.READY

    def _job_before_rename(self, found: int, identity: FileIdentity) -> Row | None:
        """Return the job of a file of this content that has left its path, but not through us."""
        statement = "SELECT * FROM jobs WHERE fingerprint = ? AND id != ? AND after IS NULL"
        rows = self._database.rows(statement, identity.fingerprint, found)
        return next((row for row in rows if not lexists(row["path"])), None)

    def _rename(
        self, former: Row, found: Row, identity: FileIdentity, stems: Sequence[str]
    ) -> None:
        """Continue a renamed file's job; results that exist or are being made keep their names."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", found["id"])
        statement = (
            "UPDATE jobs SET root = ?, path = ?, size = ?, mtime_ns = ?, inode = ? WHERE id = ?"
        )
        values = (found["root"], found["path"], *identity.stat, former["id"])
        self._database.execute(statement, *values)
        if former["state"] in (JobState.FOUND, JobState.READY, JobState.SKIPPED):
            self._database.execute("UPDATE jobs SET stem = NULL WHERE id = ?", former["id"])
            self._make_ready(former, identity, self._free_stem(stems), former["arrived"])

    def _note_unchanged(self, row: Row, stat: FileStat) -> None:
        """Note a new time or inode."""
        statement = "UPDATE jobs SET size = ?, mtime_ns = ?, inode = ? WHERE id = ?"
        self._database.execute(statement, *stat, row["id"])

    def _free_stem(self, stems: Sequence[str]) -> bytes:
        for name in map(fsencode, stems):
            if self._row("SELECT 1 FROM jobs WHERE stem = ?", name) is None:
                return name
        return fsencode(f"{stems[-1]}~{time.time_ns():x}")

    def _make_ready(self, row: Row, identity: FileIdentity, stem: bytes, arrived: float) -> None:
        """Queue a job; existing results of other content under its name are to be replaced."""
        redo = row["redo"] or row["fingerprint"] not in (None, identity.fingerprint)
        values = (stem, *identity.stat, identity.fingerprint, arrived, arrived, redo, row["id"])
        self._database.execute(
            "UPDATE jobs SET state = 'ready', stem = ?, size = ?, mtime_ns = ?, inode = ?,"
            " fingerprint = ?, arrived = ?, queued = ?, not_before = 0, attempts = 0, crashes = 0,"
            " kills = 0, redo = ?, error = NULL, hint = NULL, after = NULL WHERE id = ?",
            *values,
        )

    def discard_file(self, path: Path) -> None:
        """Forget a file that went away before it was complete, or skip it if it had a job."""
        found, name = "path = ? AND state = 'found'", fsencode(path)
        delete = f"DELETE FROM jobs WHERE {found} AND fingerprint IS NULL"  # noqa: S608
        skip = f"UPDATE jobs SET state = 'skipped', ended = ?, error = ? WHERE {found}"  # noqa: S608
        with self.transaction():
            self._database.execute(delete, name)
            self._database.execute(skip, time.time(), _VANISHED, name)

    # For runners

    def claim(self, owner: str, roots: Sequence[Path], *, alone: bool) -> JobRecord | None:
        """Take the job of these folders that was queued first; None if there is none for now.

        A job that may have crashed a process is given only to an owner that runs nothing else
        (`alone`), and the jobs behind it wait until then. The attempt is on record before the work
        begins, so that it counts even if the process dies.
        """
        now = time.time()
        folders = [fsencode(root) for root in roots]
        first = (
            "SELECT id, crashes FROM jobs WHERE state = 'ready' AND not_before <= ?"  # noqa: S608
            f" AND root IN ({placeholders(folders)}) ORDER BY queued, id LIMIT 1"
        )
        # One statement, so that nobody else can claim the job in between.
        return self._record(
            "UPDATE jobs SET state = 'running', owner = ?, heartbeat = ?, started = ?,"  # noqa: S608
            " oom_kills = ?, ended = NULL, attempts = attempts + 1, error = NULL, hint = NULL"
            f" WHERE id = (SELECT id FROM ({first}) WHERE crashes = 0 OR ?) RETURNING *",
            *(owner, now, now, count_oom_kills(), now),
            *folders,
            alone,
        )

    def heartbeat(self, owner: str) -> None:
        statement = (
            "UPDATE jobs SET heartbeat = ?, oom_kills = ? WHERE state = 'running' AND owner = ?"
        )
        self._database.execute(statement, time.time(), count_oom_kills(), owner)

    def owned(self, job: int, owner: str) -> JobRecord | None:
        """Return a job if it still is the owner's; its path may have changed meanwhile."""
        statement = "SELECT * FROM jobs WHERE id = ? AND state = 'running' AND owner = ?"
        return self._record(statement, job, owner)

    def finish(self, job: int, owner: str, state: JobState, report: JobReport) -> None:
        """End an owned job as done, failed or skipped."""
        # Names that are not UTF-8 survive as escapes.
        outputs = json.dumps({kind: str(path) for kind, path in report.outputs.items()})
        after = self._post_action if state is JobState.DONE else None
        changes = (
            "state = ?, ended = ?, redo = 0, outputs = ?, error = ?, hint = ?, after = ?,"
            " engine_key = ?"
        )
        values = (state, time.time(), outputs, report.error, report.hint, after, report.engine_key)
        self._disown(job, owner, changes, *values)

    def rename_results(self, job: int, owner: str, stem: str) -> None:
        """Note another name for the results of an owned job, unless another job has it."""
        statement = "UPDATE OR IGNORE jobs SET stem = ? WHERE id = ? AND owner = ?"
        self._database.execute(statement, fsencode(stem), job, owner)

    def explained(self, roots: Sequence[Path]) -> list[JobRecord]:
        """Return the done jobs of folders whose sources are to stay where they are."""
        done = self._records("SELECT * FROM jobs WHERE state = 'done' AND after IS NULL")
        return [job for job in done if job.root in roots]

    def queue_again(self, jobs: Sequence[JobRecord]) -> None:
        """Queue done jobs again; their results stay until there are new ones."""
        statement = (
            "UPDATE jobs SET state = 'ready', queued = ?, not_before = 0, attempts = 0,"
            " crashes = 0, kills = 0 WHERE id = ? AND state = 'done'"
        )
        with self.transaction():
            for job in jobs:
                self._database.execute(statement, time.time(), job.id)

    def retry_later(self, job: int, owner: str, error: str, hint: str | None, wait: float) -> None:
        """Return an owned job that failed to the queue, to be tried again in `wait` seconds."""
        changes = "state = 'ready', error = ?, hint = ?, not_before = ?"
        self._disown(job, owner, changes, error, hint, time.time() + wait)

    def release(self, job: int, owner: str, *, changed: bool = False) -> None:
        """Return an owned job to the queue; the attempt does not count.

        Where its file has changed, intake must find the file complete again first.
        """
        state = JobState.FOUND if changed else JobState.READY
        changes = "state = ?, attempts = attempts - 1, redo = max(redo, ?)"
        self._disown(job, owner, changes, state, changed)

    def _disown(self, job: int, owner: str, changes: str, *values: SqlValue) -> bool:
        """Change a job and take it from its owner; return False if it is not the owner's."""
        statement = f"UPDATE jobs SET owner = NULL, heartbeat = NULL, {changes}"  # noqa: S608
        where = " WHERE id = ? AND state = 'running' AND owner = ?"
        return self._database.execute(statement + where, *values, job, owner) > 0

    def count_ready(self, roots: Sequence[Path]) -> int:
        """Count the ready jobs of folders, those that wait for another attempt included."""
        folders = [fsencode(root) for root in roots]
        ready = "SELECT count(*) FROM jobs WHERE state = 'ready'"
        ((count,),) = self._database.rows(
            f"{ready} AND root IN ({placeholders(folders)})", *folders
        )
        return int(count)

    def due_post_actions(self, roots: Sequence[Path]) -> list[JobRecord]:
        due = self._records("SELECT * FROM jobs WHERE after = 'due'")
        return [job for job in due if job.root in roots]

    def post_action_over(self, job: int) -> None:
        """Note that a job's source was moved or deleted, or is not to be any more."""
        self._database.execute("UPDATE jobs SET after = 'over' WHERE id = ?", job)

    def recover(self, crash: Callable[[str], str | None], max_attempts: int) -> list[RecoveredJob]:
        """Return the running jobs of ended processes to the queue, or give them up as failed.

        They go to its end: a file that ends the process must not keep the others from their turn.
        `crash` returns what crashed a process, None if it ended without a trace.
        """
        running = self._records("SELECT * FROM jobs WHERE state = 'running'")
        orphans = [j for j in running if is_abandoned(j.owner or "", j.heartbeat or 0.0)]
        if not orphans:
            return []
        with self.transaction():
            recovered = [self._recover(j, _cause(j, crash), max_attempts) for j in orphans]
        return [pair for pair in recovered if pair is not None]

    def _recover(self, job: JobRecord, crash: str | None, limit: int) -> RecoveredJob | None:
        crashes, kills = job.crashes + (crash is not None), job.kills + (crash is None)
        reason = reason_to_give_up(crashes, kills, crash, limit)
        hint = None if reason is None else f"`streamcam jobs retry {job.id}` tries it again."
        state = JobState.READY if reason is None else JobState.FAILED
        now = time.time()
        ended = None if reason is None else now
        changes = (
            "state = ?, crashes = ?, kills = ?, attempts = attempts - ?, queued = ?, ended = ?,"
            " error = ?, hint = ?"
        )
        values = (state, crashes, kills, crash is None, now, ended, reason, hint)
        changed = self._disown(job.id, job.owner or "", changes, *values)
        return (job, reason) if changed else None

    # For people

    def jobs(self, states: Sequence[JobState] = (), limit: int | None = None) -> list[JobRecord]:
        """Return the latest jobs in these states, or in any; the latest last."""
        wanted = states or tuple(JobState)
        latest = self._records(
            f"SELECT * FROM jobs WHERE state IN ({placeholders(wanted)})"  # noqa: S608
            " ORDER BY arrived DESC, id DESC LIMIT ?",
            *wanted,
            -1 if limit is None else limit,
        )
        return latest[::-1]

    def counts(self) -> dict[JobState, int]:
        rows = self._database.rows("SELECT state, count(*) AS number FROM jobs GROUP BY state")
        numbers = {row["state"]: row["number"] for row in rows}
        return {state: numbers.get(state, 0) for state in JobState}

    def find(self, word: str) -> JobRecord:
        """Return the job with this number, or of this file; raises `UsageError` without one."""
        path = Path(word).absolute()
        number = int(word) if word.isdecimal() else None
        statement = "SELECT * FROM jobs WHERE id = ? OR path IN (?, ?)"
        job = self._record(statement, number, fsencode(path), fsencode(path.resolve()))
        if job is None:
            raise UsageError(
                f"no job {word!r}", hint="`streamcam jobs list` shows their numbers and files."
            )
        return job

    def retry(self, job: JobRecord) -> bool:
        """Queue a job again, with all its attempts; return False if it is running."""
        changed = self._database.execute(
            "UPDATE jobs SET state = 'ready', redo = 1, attempts = 0, crashes = 0, kills = 0,"
            " not_before = 0, queued = ?, ended = NULL, error = NULL, hint = NULL"
            " WHERE id = ? AND stem IS NOT NULL AND state != 'running'",
            *(time.time(), job.id),
        )
        return changed > 0

    def forget(self, job: JobRecord) -> bool:
        """Delete a job, its results stay; return False if it is running."""
        statement = "DELETE FROM jobs WHERE id = ? AND state != 'running'"
        return self._database.execute(statement, job.id) > 0

    def _records(self, statement: str, *values: SqlValue) -> list[JobRecord]:
        return [JobRecord.from_row(row) for row in self._database.rows(statement, *values)]

    def _record(self, statement: str, *values: SqlValue) -> JobRecord | None:
        return next(iter(self._records(statement, *values)), None)

    def _row(self, statement: str, *values: SqlValue) -> Row | None:
        return next(iter(self._database.rows(statement, *values)), None)


def _cause(job: JobRecord, crash: Callable[[str], str | None]) -> str | None:
    """Return what ended the process of a job, None if that left no trace."""
    owner = job.owner or ""
    return crash(owner) or (OUT_OF_MEMORY if killed_for_memory(owner, job.oom_kills) else None)
