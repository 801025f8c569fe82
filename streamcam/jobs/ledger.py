"""The ledger's part for runners: claims, heartbeats, and how jobs end.

Each change is one transaction that also checks what it rests on (that the job is still ours, still
ready), so that several processes can share a ledger.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from streamcam.jobs.database import Database
from streamcam.jobs.record import JobRecord, State
from streamcam.jobs.rows import from_row, key, outputs_text


class Ledger:
    """What runners ask of the ledger; from any thread.

    Args:
        database: Where it is kept.

    All methods raise `LedgerError`, or `DiskFullError` when there is no room.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, owner: str, roots: Iterable[Path], *, alone: bool) -> JobRecord | None:
        """Take the job that was queued first; None if there is none, or it has to wait.

        The attempt is on record before the work begins, so that it counts even if the process dies.

        Args:
            owner: Who takes it.
            roots: Folders whose jobs may be taken.
            alone: Whether the owner runs nothing else; a job that may have crashed a process is
                given to such an owner only, and the jobs behind it wait until then.
        """
        now = time.time()
        folders = [key(root) for root in roots]
        places = ", ".join("?" * len(folders))
        with self._database.transaction() as connection:
            row = connection.execute(
                f"SELECT id, crashes FROM jobs WHERE state = 'ready' AND not_before <= ?"  # noqa: S608
                f" AND root IN ({places}) ORDER BY queued, id LIMIT 1",
                (now, *folders),
            ).fetchone()
            if row is None or (row["crashes"] and not alone):
                return None
            claimed = connection.execute(
                "UPDATE jobs SET state = 'running', owner = ?, heartbeat = ?, started = ?,"
                " ended = NULL, attempts = attempts + 1, error = NULL, hint = NULL"
                " WHERE id = ? RETURNING *",
                (owner, now, now, row["id"]),
            ).fetchone()
            return from_row(claimed)

    def beat(self, owner: str) -> None:
        """Note that the owner of running jobs lives."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET heartbeat = ? WHERE state = 'running' AND owner = ?",
                (time.time(), owner),
            )

    def owned(self, job: int, owner: str) -> JobRecord | None:
        """Return a job if it still is the owner's; its path may have changed meanwhile."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE id = ? AND state = 'running' AND owner = ?", (job, owner)
        )
        return from_row(rows[0]) if rows else None

    def finish(
        self,
        job: int,
        owner: str,
        state: State,
        *,
        outputs: Mapping[str, Path] | None = None,
        error: str | None = None,
        hint: str | None = None,
        after: bool = False,
    ) -> None:
        """End an owned job as done, failed or skipped."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, ended = ?, owner = NULL, heartbeat = NULL, redo = 0,"
                " outputs = ?, error = ?, hint = ?, after = ?"
                " WHERE id = ? AND state = 'running' AND owner = ?",
                (
                    *(state, time.time(), outputs_text(outputs or {}), error, hint),
                    *("due" if after else None, job, owner),
                ),
            )

    def retry_later(self, job: int, owner: str, error: str, hint: str | None, wait: float) -> None:
        """Return an owned job that failed to the queue, to be tried again in `wait` seconds."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'ready', owner = NULL, heartbeat = NULL, error = ?,"
                " hint = ?, not_before = ? WHERE id = ? AND state = 'running' AND owner = ?",
                (error, hint, time.time() + wait, job, owner),
            )

    def give_back(self, job: int, owner: str, *, changed: bool = False) -> None:
        """Return an owned job through no fault of its own: the attempt does not count.

        Args:
            job: Its number.
            owner: Who had it.
            changed: Whether the file changed meanwhile, and has to stand still again.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, owner = NULL, heartbeat = NULL,"
                " attempts = attempts - 1, redo = max(redo, ?)"
                " WHERE id = ? AND state = 'running' AND owner = ?",
                (State.FOUND if changed else State.READY, changed, job, owner),
            )

    def rest(self, roots: Iterable[Path]) -> int:
        """Count the ready jobs of folders, those that wait for another attempt included."""
        folders = [key(root) for root in roots]
        places = ", ".join("?" * len(folders))
        ((count,),) = self._database.rows(
            f"SELECT count(*) FROM jobs WHERE state = 'ready' AND root IN ({places})",  # noqa: S608
            tuple(folders),
        )
        return int(count)

    def due(self, roots: Iterable[Path]) -> list[JobRecord]:
        """Return the jobs whose sources are still to be moved or deleted."""
        wanted = set(roots)
        rows = self._database.rows("SELECT * FROM jobs WHERE after = 'due'")
        return [job for job in map(from_row, rows) if job.root in wanted]

    def after_over(self, job: int) -> None:
        """Note that a job's source was moved or deleted, or is not to be any more."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE jobs SET after = 'over' WHERE id = ?", (job,))
