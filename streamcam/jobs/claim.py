"""One claimed job: its work in a thread, and the verdict on what came of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from streamcam.errors import StreamcamError
from streamcam.files import readable
from streamcam.jobs.identity import identity_of
from streamcam.jobs.record import JobRecord
from streamcam.pipeline.file_job import Job
from streamcam.types import JobReport, Outcome


class JobResult(Enum):
    """What becomes of a job whose work has ended."""

    KEEP = auto()
    """Done, or failed for good: what was written is published."""
    AGAIN = auto()
    """Failed through what may pass."""
    BACK = auto()
    """Stopped: nobody's fault."""
    CHANGED = auto()
    """The file is not what it was."""
    UNRIPE = auto()
    """It cannot be read, but changed so lately that it may not be whole."""
    GONE = auto()
    """The file is not there any more."""
    LOST = auto()
    """Another process has taken the job over."""


class JobRun:
    """Works on a job that was claimed; made, started, and judged once.

    Args:
        record: The job.
        make: Makes the work, given what to ask before anything is published.
        owned: Tells what the ledger knows of the job, None if it is not ours any more.
        patience: Seconds after its last change in which a file that cannot be read may yet grow.
        free: Bytes that were free for results when it began.
        wake: Called at the end.

    Attributes:
        report: How the work ended.
        verdict: What becomes of the job.
        fault: What broke the work or the judging itself.
        published: Whether publishing of its results has begun.
        ended: Whether the work has ended.
    """

    def __init__(
        self,
        record: JobRecord,
        make: Callable[[Callable[[JobReport], bool]], Job],
        owned: Callable[[], JobRecord | None],
        *,
        patience: float,
        free: int,
        wake: Callable[[], None],
    ) -> None:
        self.record = record
        self.free = free
        self.report = JobReport(readable(record.path), Outcome.STOPPED)
        self.verdict = JobResult.BACK
        self.fault: Exception | None = None
        self.published = False
        self.ended = False
        self._owned = owned
        self._patience = patience
        self._wake = wake
        self._job = make(self._publishable)
        self._thread = threading.Thread(
            target=self._work, name=f"streamcam job {record.id}", daemon=True
        )

    @property
    def path(self) -> Path:
        """The file as it was named when the job was claimed."""
        return self.record.path

    def start(self) -> None:
        """Begin the work."""
        self._thread.start()

    def abort(self) -> None:
        """End the work soon, and leave nothing of it."""
        self._job.abort()

    def _work(self) -> None:
        try:
            before = self._look()
            if before is not JobResult.KEEP:
                self.verdict = before
                return
            self.report = self._job.run()
            if not self.published:
                self._judge(self.report)
            elif self.report.retryable:
                self.verdict = JobResult.AGAIN
        except Exception as error:  # noqa: BLE001 - raised in the thread that collects
            self.fault = error
        finally:
            self.ended = True
            self._wake()

    def _publishable(self, report: JobReport) -> bool:
        try:
            self._judge(report)
        except StreamcamError as error:
            # The ledger cannot be asked: what is not known to be ours is not published.
            self.fault = error
            return False
        self.published = self.verdict is JobResult.KEEP
        return self.published

    def _judge(self, report: JobReport) -> None:
        self.verdict = self._look()
        if self.verdict is not JobResult.KEEP:
            return
        if report.outcome is Outcome.STOPPED:
            self.verdict = JobResult.BACK
        elif report.retryable:
            self.verdict = JobResult.AGAIN
        elif report.outcome is Outcome.FAILED and self._is_fresh():
            self.verdict = JobResult.UNRIPE

    def _look(self) -> JobResult:
        """Tell whether the job is still ours, and the file what it was when it stood still."""
        job = self._owned()
        if job is None:
            return JobResult.LOST
        try:
            now = identity_of(job.path)
        except FileNotFoundError:
            return JobResult.GONE
        except OSError:
            return JobResult.AGAIN
        return JobResult.KEEP if now == job.identity else JobResult.CHANGED

    def _is_fresh(self) -> bool:
        try:
            stat = self.record.path.stat()
        except OSError:
            return False
        return 0 <= time.time() - max(stat.st_mtime, stat.st_ctime) < self._patience


def told(report: JobReport, error: str, outcome: Outcome) -> JobReport:
    """Return a report that tells people why a job ended as it did."""
    return replace(report, outcome=outcome, error=error, outputs={})
