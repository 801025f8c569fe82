"""The execution of one claimed job, in a thread, and its result."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from streamcam.errors import StreamcamError
from streamcam.jobs.job_record import JobRecord
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import identity_of
from streamcam.pipeline.file_job import Job
from streamcam.types import JobReport, Outcome


class JobResult(Enum):
    """What becomes of a job whose execution has ended."""

    FINISHED = auto()
    """Done, or failed for good: what was written is published."""
    RETRY = auto()
    """Failed for a reason that may pass."""
    RELEASED = auto()
    """Stopped before its end."""
    CHANGED = auto()
    """The file has changed."""
    INCOMPLETE = auto()
    """The file cannot be read, but changed so lately that it may not be complete."""
    MISSING = auto()
    """The file is not there any more."""
    TAKEN_OVER = auto()
    """Another process owns the job."""


class JobRun:
    """Executes a claimed job once.

    Args:
        incomplete_seconds: Time after its last change within which an unreadable file may grow.
        free_space: Free bytes for results when it was claimed.
        wake: Called at the end, from the run's thread.

    Attributes:
        report: How the execution ended.
        result: What becomes of the job.
        fault: The error that broke the execution itself.
        published: Whether publishing of the results has begun.
        ended: Whether the execution has ended.
    """

    def __init__(
        self,
        record: JobRecord,
        store: JobStore,
        *,
        incomplete_seconds: float,
        free_space: int,
        wake: Callable[[], None],
    ) -> None:
        self.record = record
        self.free_space = free_space
        self.report = JobReport(record.name, Outcome.STOPPED)
        self.result = JobResult.RELEASED
        self.fault: Exception | None = None
        self.published = False
        self.ended = False
        self._store = store
        self._incomplete_seconds = incomplete_seconds
        self._wake = wake
        self._job: Job | None = None

    @property
    def path(self) -> Path:
        """The file as it was named when the job was claimed."""
        return self.record.path

    def start(self, job: Job) -> None:
        """Run a file job that asks `may_publish` before it publishes, in a thread."""
        self._job = job
        name = f"streamcam job {self.record.id}"
        threading.Thread(target=self._run, args=(job,), name=name, daemon=True).start()

    def abort(self) -> None:
        """Stop soon, and remove what was written."""
        if self._job is not None:
            self._job.abort()

    def may_publish(self, report: JobReport) -> bool:
        """Tell whether the results are of the file as it is now, and the job still ours."""
        try:
            self.result = self._judge(report)
        except StreamcamError as error:
            # The job store cannot be asked: what is not known to be ours is not published.
            self.fault = error
            return False
        self.published = self.result is JobResult.FINISHED
        return self.published

    def _run(self, job: Job) -> None:
        try:
            self.result = self._check_file()
            if self.result is not JobResult.FINISHED:
                return
            self.result = JobResult.RELEASED
            self.report = job.run()
            if not self.published:
                self.result = self._judge(self.report)
            else:
                self.result = JobResult.RETRY if self.report.retryable else JobResult.FINISHED
        except Exception as error:  # noqa: BLE001 - raised in the thread that collects
            self.fault = error
        finally:
            self.ended = True
            self._wake()

    def _judge(self, report: JobReport) -> JobResult:
        checked = self._check_file()
        if checked is not JobResult.FINISHED:
            return checked
        if report.outcome is Outcome.STOPPED:
            return JobResult.RELEASED
        if report.retryable:
            return JobResult.RETRY
        if report.outcome is Outcome.FAILED and self._may_grow():
            return JobResult.INCOMPLETE
        return JobResult.FINISHED

    def _check_file(self) -> JobResult:
        """Return FINISHED if the job is still ours and the file unchanged, else what it became."""
        job = self._store.owned(self.record.id, self.record.owner or "")
        if job is None:
            return JobResult.TAKEN_OVER
        try:
            unchanged = identity_of(job.path) == job.identity
        except FileNotFoundError:
            return JobResult.MISSING
        except OSError:
            return JobResult.RETRY
        return JobResult.FINISHED if unchanged else JobResult.CHANGED

    def _may_grow(self) -> bool:
        try:
            stat = self.record.path.stat()
        except OSError:
            return False
        return 0 <= time.time() - max(stat.st_mtime, stat.st_ctime) < self._incomplete_seconds


def with_outcome(report: JobReport, error: str, outcome: Outcome) -> JobReport:
    """Return a report that tells people why a job ended as it did."""
    return replace(report, outcome=outcome, error=error, outputs={})
