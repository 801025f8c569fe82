"""The sources of a distributed run: which is next, and what follows when one did not succeed."""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from streamcam.clock import Clock
from streamcam.errors import ExitCode
from streamcam.jobs.job_record import reason_to_give_up
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport, Outcome

_LONGEST_PAUSE = 600.0
"""Seconds; that of watched folders' jobs too."""


@dataclass(eq=False, slots=True)
class SourceTask:
    """A source on its way through the cluster.

    Attributes:
        number: Counts the sources of a run, from 0.
        attempts: How often it failed for a reason that may pass.
        crashes, kills: How often its worker crashed, or ended without a trace, while it ran.
        tries: How often it was given out.
    """

    entry: Entry
    number: int
    attempts: int = 0
    crashes: int = 0
    kills: int = 0
    tries: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it may have crashed its worker: it then runs alone, to spare other sources."""
        return self.crashes > 0


@dataclass(order=True, slots=True)
class _Waiting:
    not_before: float
    number: int
    task: SourceTask = field(compare=False)


class SourceQueue:
    """Gives each source out until it has succeeded or is given up.

    Holds only the sources that were begun and not ended, and a few that were looked at in advance:
    memory does not depend on the number of sources.

    Args:
        entries: Read as workers get free.
        max_attempts: Tries of a source, see `RaySettings`.
        retry_delay: Seconds before the second try, doubled before each further one.
    """

    def __init__(
        self, entries: Iterator[Entry], max_attempts: int, retry_delay: float, clock: Clock
    ) -> None:
        self._entries = entries
        self._max_attempts = max_attempts
        self._retry_delay = retry_delay
        self._clock = clock
        self._read = 0
        self._fresh: deque[SourceTask] = deque()
        self._again: list[_Waiting] = []
        self._suspects: deque[SourceTask] = deque()
        self._listed = False

    @property
    def empty(self) -> bool:
        """Whether nothing is left to give out, now or later."""
        return not self.look_ahead(1)

    @property
    def total(self) -> int | None:
        """How many sources there are; None before the last one was read."""
        return self._read if self._listed else None

    def look_ahead(self, limit: int) -> int:
        """Return how many sources wait, at most `limit`."""
        old = len(self._again) + len(self._suspects)
        while not self._listed and old + len(self._fresh) < limit:
            entry = next(self._entries, None)
            if entry is None:
                self._listed = True
                break
            self._fresh.append(SourceTask(entry, self._read))
            self._read += 1
        return min(limit, old + len(self._fresh))

    def take(self, *, alone: bool) -> SourceTask | None:
        """Return the next source; None if there is none for now.

        Args:
            alone: Whether the worker runs nothing else: only such a one gets a source that may have
                crashed a worker.
        """
        task = self._next(alone=alone)
        if task is not None:
            task.tries += 1
        return task

    def _next(self, *, alone: bool) -> SourceTask | None:
        if self._again and self._again[0].not_before <= self._clock.monotonic():
            return heapq.heappop(self._again).task
        self.look_ahead(1 + len(self._again) + len(self._suspects))
        if self._fresh:
            return self._fresh.popleft()
        if alone and self._suspects:
            return self._suspects.popleft()
        return None

    def failed(self, task: SourceTask, report: JobReport) -> JobReport | None:
        """Queue a source again whose error may pass; return the report where that is its end."""
        if not report.retryable:
            return report
        task.attempts += 1
        if task.attempts >= self._max_attempts:
            tries = "" if task.attempts == 1 else f" ({task.attempts} attempts)"
            return replace(report, error=f"{report.error}{tries}")
        pause = min(self._retry_delay * 2 ** (task.attempts - 1), _LONGEST_PAUSE)
        self._wait(task, pause)
        return None

    def lost(self, task: SourceTask, crash: str | None) -> JobReport | None:
        """Queue a source again whose worker ended; return a report where it is given up.

        Args:
            task: One that `take` gave.
            crash: What crashed the worker; None where it left no trace, as a lost node does.
        """
        task.crashes += crash is not None
        task.kills += crash is None
        reason = reason_to_give_up(task.crashes, task.kills, crash, self._max_attempts)
        if reason is not None:
            return set_aside(task.entry, reason.replace("the process", "its worker", 1))
        if task.suspect:
            self._suspects.append(task)
        else:
            self._wait(task, 0.0)
        return None

    def _wait(self, task: SourceTask, seconds: float) -> None:
        due = self._clock.monotonic() + seconds
        heapq.heappush(self._again, _Waiting(due, task.number, task))


def set_aside(entry: Entry, reason: str) -> JobReport:
    """Return the report of a source that is not tried again."""
    hint = "The other sources are not affected; the same command tries it again."
    return JobReport(
        entry.id,
        Outcome.FAILED,
        error=f"{entry.id}: {reason}",
        hint=hint,
        exit_code=ExitCode.SOME_FAILED,
    )
