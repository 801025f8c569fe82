"""The execution of one claimed job, in a thread, and what happens to its source afterwards."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import chain, count
from pathlib import Path

from streamcam.errors import StreamcamError
from streamcam.files import PartFile
from streamcam.fingerprint import identity_of
from streamcam.jobs.job_record import JobRecord
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import WatchedFolder
from streamcam.pipeline.file_job import Job
from streamcam.types import JobReport, Outcome

_MOVE = "move:"


class JobResult(Enum):
    """What becomes of a job whose execution has ended."""

    FINISHED = auto()
    """Done, or failed for good: what was written is published."""
    RETRY = auto()
    """Failed for a reason that may pass."""
    RELEASED = auto()
    """Stopped before its end."""
    CHANGED = auto()
    INCOMPLETE = auto()
    """The file cannot be read, but changed so lately that it may not be complete."""
    MISSING = auto()
    TAKEN_OVER = auto()
    """Another process owns the job."""


@dataclass(eq=False)
class JobRun:
    """Executes a claimed job once."""

    record: JobRecord
    store: JobStore
    incomplete_seconds: float  # time after its last change within which an unreadable file may grow
    free_space: int  # free bytes for results when it was claimed
    wake: Callable[[], None]  # called at the end, from the run's thread
    result: JobResult = JobResult.RELEASED
    fault: Exception | None = None  # the error that broke the execution itself
    published: bool = False  # whether publishing of the results has begun
    ended: bool = False

    def __post_init__(self) -> None:
        self.report = JobReport(self.record.name, Outcome.STOPPED)
        self._job: Job | None = None

    @property
    def stem(self) -> str:
        """The name of the results, which the job may have changed: another source had it."""
        return (self._job.stem if self._job else self.record.stem) or ""

    def start(self, job: Job) -> None:
        """Run a file job that asks `may_publish` before it publishes, in a thread."""
        self._job = job
        name = f"streamcam job {self.record.id}"
        threading.Thread(target=self._run, args=(job,), name=name, daemon=True).start()

    def abort(self) -> None:
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
            self.wake()

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
        job = self.store.owned(self.record.id, self.record.owner or "")
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
        return 0 <= time.time() - max(stat.st_mtime, stat.st_ctime) < self.incomplete_seconds


def with_outcome(report: JobReport, error: str, outcome: Outcome) -> JobReport:
    return replace(report, outcome=outcome, error=error, outputs={})


@dataclass(frozen=True, slots=True)
class PostAction:
    """What to do with the sources of jobs that are done: delete them, or move them to a folder."""

    delete: bool = False
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "PostAction":
        """Read `keep`, `delete` or `move:DIR`."""
        folder = Path(text.removeprefix(_MOVE)).absolute() if text.startswith(_MOVE) else None
        return cls(delete=text == "delete", folder=folder)

    @property
    def clears_sources(self) -> bool:
        return self.delete or self.folder is not None

    def apply(self, job: JobRecord, folders: Sequence[WatchedFolder]) -> None:
        """Move or delete a job's source, unless it is gone or has other content by now.

        Raises `OSError` or `SinkError` where that is not possible now.
        """
        # Another watcher, or a person, may do the same at any moment.
        with suppress(FileNotFoundError):
            now = identity_of(job.path)
            if job.identity is None or now.fingerprint != job.identity.fingerprint:
                return
            if self.delete:
                job.path.unlink()
            elif self.folder is not None:
                _move(job.path, self.folder / _relative_path(job, folders))


def _relative_path(job: JobRecord, folders: Sequence[WatchedFolder]) -> Path:
    subfolder = next((folder.subfolder for folder in folders if folder.path == job.root), "")
    return Path(subfolder) / job.path.relative_to(job.root)


def _move(source: Path, target: Path) -> None:
    """Move a file, replacing nothing; on another disk it appears there whole or not at all."""
    numbered = (target.with_stem(f"{target.stem}~{number}") for number in count(2))
    free = next(path for path in chain((target,), numbered) if not os.path.lexists(path))
    free.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(free)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, free)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    file = PartFile(target)
    try:
        shutil.copy2(source, file.prepare())
        file.publish()
    except BaseException:
        file.discard()
        raise
