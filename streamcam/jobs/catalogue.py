"""The ledger's part for people: list, show, retry, forget."""

import time
from collections.abc import Sequence
from pathlib import Path

from streamcam.errors import UsageError
from streamcam.jobs.database import FILE_NAME, Database
from streamcam.jobs.record import JobRecord, State
from streamcam.jobs.rows import from_row, key


def open_ledger(state: Path) -> Database:
    """Open the ledger in a state folder, which must exist.

    Raises:
        UsageError: There is none.
        LedgerError: It cannot be used.
    """
    path = state / FILE_NAME
    if not path.exists():
        raise UsageError(
            f"no ledger of jobs in {state}",
            hint="`streamcam watch` makes one; name its folder with --state or --output.",
        )
    return Database(path)


class Catalogue:
    """What people ask of the ledger, also while a watcher runs.

    Args:
        database: Where it is kept.

    All methods raise `LedgerError`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the ledger."""
        self._database.close()

    def jobs(self, states: Sequence[State] = (), limit: int | None = None) -> list[JobRecord]:
        """Return jobs, the latest arrivals last; of many the latest ones."""
        wanted = states or tuple(State)
        places = ", ".join("?" * len(wanted))
        rows = self._database.rows(
            f"SELECT * FROM jobs WHERE state IN ({places})"  # noqa: S608 - only question marks
            " ORDER BY arrived DESC, id DESC LIMIT ?",
            (*wanted, -1 if limit is None else limit),
        )
        return [from_row(row) for row in reversed(rows)]

    def counts(self) -> dict[State, int]:
        """Return how many jobs there are in each state."""
        rows = self._database.rows("SELECT state, count(*) AS number FROM jobs GROUP BY state")
        numbers = {row["state"]: row["number"] for row in rows}
        return {state: numbers.get(state, 0) for state in State}

    def find(self, word: str) -> JobRecord:
        """Return the job with this number, or of this file.

        Raises:
            UsageError: There is none.
        """
        path = Path(word).absolute()
        number = int(word) if word.isdecimal() else None
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE id = ? OR path IN (?, ?)",
            (number, key(path), key(path.resolve())),
        )
        if not rows:
            raise UsageError(
                f"no job {word!r}", hint="`streamcam jobs list` shows their numbers and files."
            )
        return from_row(rows[0])

    def retry(self, job: JobRecord) -> bool:
        """Queue a job again, with all its attempts; tell whether it was at rest."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = 'ready', redo = 1, attempts = 0, crashes = 0, kills = 0,"
                " not_before = 0, queued = ?, ended = NULL, error = NULL, hint = NULL"
                " WHERE id = ? AND stem IS NOT NULL AND state != 'running'",
                (time.time(), job.id),
            )
            return changed.rowcount > 0

    def forget(self, job: JobRecord) -> bool:
        """Strike a job from the ledger, its results stay; tell whether it was at rest."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "DELETE FROM jobs WHERE id = ? AND state != 'running'", (job.id,)
            )
            return changed.rowcount > 0
