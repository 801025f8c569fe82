"""Takes jobs back from processes that have ended, and sets aside what keeps ending them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection

from streamcam.jobs.database import Database
from streamcam.jobs.owner import is_gone
from streamcam.jobs.record import JobRecord, State
from streamcam.jobs.rows import from_row

# Owners whose process can be seen are judged by it; others are given this long between heartbeats,
# which come every 5 s: a machine that swaps or resumes must not lose its jobs to another one.
_SILENCE_SECONDS = 60.0

# An end without a trace (kill -9, power, the kernel's out-of-memory killer) rarely is the file's
# fault, but a file that makes the kernel kill us each time must not do so for ever. In 100
# random kills of a soak one file took part in 24, and still was not to blame.
_KILLS_PER_ATTEMPT = 20


@dataclass(frozen=True, slots=True)
class Recovered:
    """A job that was taken back.

    Attributes:
        job: The job, as it was.
        state: READY to be tried again, or FAILED when it was set aside.
        reason: Why it was set aside.
    """

    job: JobRecord
    state: State
    reason: str | None = None


def take_back(
    database: Database, trace: Callable[[str], str | None], max_attempts: int
) -> list[Recovered]:
    """Return the running jobs of ended processes to the queue, or set them aside.

    They go to its end: a file that ends the process must not keep the others from their turn.

    Args:
        database: The ledger.
        trace: Tells what a process left behind when it crashed, None if it left nothing.
        max_attempts: Set a job aside when the process crashed so often while it ran.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    running = [from_row(row) for row in database.rows("SELECT * FROM jobs WHERE state = 'running'")]
    orphans = [job for job in running if _is_orphan(job)]
    if not orphans:
        return []
    with database.transaction() as connection:
        return [
            recovered
            for job in orphans
            if (recovered := _recover(connection, job, trace(job.owner or ""), max_attempts))
        ]


def _is_orphan(job: JobRecord) -> bool:
    gone = is_gone(job.owner or "")
    if gone is not None:
        return gone
    # Clocks may jump: what lies far in the future is as stale as what lies far in the past.
    return abs(time.time() - (job.heartbeat or 0.0)) > _SILENCE_SECONDS


def _recover(
    connection: Connection, job: JobRecord, trace: str | None, max_attempts: int
) -> Recovered | None:
    crashes = job.crashes + (trace is not None)
    kills = job.kills + (trace is None)
    now = time.time()
    reason = None
    if trace is not None and crashes >= max_attempts:
        reason = f"the process crashed {crashes} times while it worked on this file: {trace}"
    elif kills >= max_attempts * _KILLS_PER_ATTEMPT:
        reason = f"the process was killed {kills} times while it worked on this file"
    state = State.READY if reason is None else State.FAILED
    changed = connection.execute(
        "UPDATE jobs SET state = ?, owner = NULL, heartbeat = NULL, crashes = ?, kills = ?,"
        " attempts = attempts - ?, queued = ?, ended = ?, error = ?, hint = ?"
        " WHERE id = ? AND state = 'running' AND owner = ?",
        (
            *(state, crashes, kills, trace is None, now),
            *(None if reason is None else now, reason),
            None if reason is None else f"`streamcam jobs retry {job.id}` tries it again.",
            *(job.id, job.owner),
        ),
    )
    return Recovered(job, state, reason) if changed.rowcount else None
