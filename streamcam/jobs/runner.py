"""Runs ready jobs, several at a time, through one engine, and records how they end."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, DiskFullError, StreamcamError
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.job_run import JobResult, JobRun, PostAction, with_outcome
from streamcam.jobs.resources import DiskGuard, EngineLoader, OngoingConditions
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import WatchedFolder
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_job import Job
from streamcam.sinks.registry import remove_results
from streamcam.sources.inputs import Entry
from streamcam.types import Item, JobReport, Outcome, SourceInfo

# How often a stopping runner checks whether jobs have ended.
_POLL_SECONDS = 0.05

# Recovery judges owners that it cannot see by heartbeats that are 60 s old.
_HEARTBEAT_SECONDS = 5.0

# The first pause between attempts is a setting; each is twice the one before, up to this.
_LONGEST_PAUSE = 600.0

# An unreadable file is given this many times the settling time after its last change: copies that
# pause do so more than once.
_INCOMPLETE_FACTOR = 3


class Runner:
    """Claims jobs and runs them; driven by `tick`, from one thread.

    Args:
        wake: Called from the jobs' threads when one has ended.
        on_change: Called with a file that must be checked again, and the seconds for which it must
            not change, None for the usual time.

    Attributes:
        failed: Number of jobs that failed for good.
    """

    def __init__(
        self,
        settings: Settings,
        folders: Sequence[WatchedFolder],
        owner: str,
        store: JobStore,
        loader: EngineLoader,
        post_action: PostAction,
        observer: Observer,
        conditions: OngoingConditions,
        *,
        wake: Callable[[], None],
        on_change: Callable[[Path, float | None], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        output = settings.output.model_copy(update={"overwrite": True})
        self._redo_settings = settings.model_copy(update={"output": output})
        self._folders = folders
        self._roots = [folder.path for folder in folders]
        self._owner = owner
        self._store = store
        self._loader = loader
        self._post_action = post_action
        self._observer = observer
        self._conditions = conditions
        self._wake = wake
        self._on_change = on_change
        self._clock = clock
        self._disk = DiskGuard(
            settings.output.local_folder, settings.watch.min_free, conditions, clock
        )
        self._incomplete_seconds = _INCOMPLETE_FACTOR * settings.watch.settle
        self._runs: list[JobRun] = []
        self._next_heartbeat = 0.0
        # Whether it is known which results the present engine would not make.
        self._outdated_queued = settings.output.skip_existing
        self.failed = 0

    @property
    def idle(self) -> bool:
        ready = self._store.count_ready(self._roots)
        return self._outdated_queued and not self._runs and not ready

    def tick(self, *, claiming: bool = True) -> None:
        """Record what ended, and start what is ready.

        Raises `StreamcamError` where the engine can never be loaded, the GPU failed, or the job
        store cannot be used.
        """
        self._collect()
        self._send_heartbeat()
        if claiming and not self._outdated_queued:
            self._queue_outdated()
        while claiming and self._start_next():
            pass

    def run_post_actions(self) -> None:
        if not self._post_action.clears_sources:
            return
        for job in self._store.due_post_actions(self._roots):
            try:
                self._post_action.apply(job, self._folders)
            except (OSError, StreamcamError) as error:
                self._conditions.begin(
                    ("after", job.path),
                    f"{job.name}: is explained, but cannot be moved or deleted now: {error}",
                    f"{job.name}: was moved or deleted",
                )
                continue
            self._store.post_action_over(job.id)
            self._conditions.end(("after", job.path))

    def abort_changed(self, path: Path) -> None:
        for run in self._runs:
            if run.record.path == path:
                run.abort()

    def stop(self, grace: float, abort_within: float) -> bool:
        """Let running jobs end, abort the others, start nothing; return whether all of them ended.

        Args:
            grace: Seconds for them to end by themselves.
            abort_within: Seconds for them to remove what they wrote, after that. The jobs of those
                that do not are released all the same.
        """
        self._wait(grace)
        for run in self._runs:
            run.abort()
        self._wait(abort_within)
        for run in self._runs:
            self._store.release(run.record.id, self._owner)
        return not self._runs

    def _wait(self, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        while self._runs and self._clock.monotonic() < deadline:
            with suppress(StreamcamError):
                self.tick(claiming=False)
            time.sleep(_POLL_SECONDS)

    # Starting

    def _queue_outdated(self) -> None:
        """Queue files again that were explained by another engine, once its key is known."""
        explained = self._store.explained(self._roots)
        if explained:
            key = self._loader.key()
            if key is None:
                return
            present = [job for job in explained if os.path.lexists(job.path)]
            outdated = [job for job in present if job.engine_key != key.digest]
            self._store.queue_again(outdated)
            if outdated:
                files = "1 file was" if len(outdated) == 1 else f"{len(outdated)} files were"
                self._observer.notice(
                    f"{files} explained with another model, method or setting, or by an earlier "
                    "streamcam; explaining anew (--skip-existing keeps what is there)"
                )
        self._outdated_queued = True

    def _start_next(self) -> bool:
        """Start one more job; return whether yet another one may be started."""
        if len(self._runs) >= max(self._loader.engines, self._settings.output.workers):
            return False
        if any(run.record.suspect for run in self._runs):
            return False
        if not self._store.count_ready(self._roots) or not self._disk.has_space():
            return False
        provider = self._loader.provider()
        if provider is None:
            return False
        record = self._store.claim(self._owner, self._roots, alone=not self._runs)
        if record is None:
            return False
        self._start(record, provider)
        return True

    def _start(self, record: JobRecord, provider: EngineProvider) -> None:
        assert record.stem is not None
        run = JobRun(
            record,
            self._store,
            incomplete_seconds=self._incomplete_seconds,
            free_space=self._disk.free_space(),
            wake=self._wake,
        )
        root = next(folder for folder in self._folders if folder.path == record.root)
        entry = Entry(str(record.path), record.stem, tuple(root.stems(record.path)))
        settings = self._redo_settings if record.redo else self._settings
        observer = _WithoutEnd(self._observer)
        run.start(Job(entry, settings, provider, observer, self._clock, run.may_publish))
        self._runs.append(run)

    # Ending

    def _send_heartbeat(self) -> None:
        if self._runs and self._clock.monotonic() >= self._next_heartbeat:
            self._store.heartbeat(self._owner)
            self._next_heartbeat = self._clock.monotonic() + _HEARTBEAT_SECONDS

    def _collect(self) -> None:
        for run in [run for run in self._runs if run.ended]:
            report = self._record_end(run)
            self._runs.remove(run)
            self._observer.file_ended(report)
            if isinstance(run.report.cause, DeviceError):
                raise run.report.cause
            if run.fault is not None:
                raise run.fault

    def _record_end(self, run: JobRun) -> JobReport:
        """Write into the job store how a job ended; return the report for people."""
        job, report = run.record, run.report
        if run.fault is not None or run.result is JobResult.RELEASED:
            self._store.release(job.id, self._owner)
            return with_outcome(report, "given back to the queue", Outcome.STOPPED)
        if run.result is JobResult.FINISHED:
            self._store.rename_results(job.id, self._owner, run.stem)
            done = report.outcome in (Outcome.DONE, Outcome.SKIPPED)
            self._finish(job, JobState.DONE if done else JobState.FAILED, report)
            return report
        if run.result is JobResult.RETRY:
            return self._record_retry(run)
        if run.result is JobResult.MISSING:
            reason = "the file went away while it was explained"
            self._finish(job, JobState.SKIPPED, JobReport(job.name, Outcome.SKIPPED, error=reason))
            return with_outcome(report, reason, Outcome.SKIPPED)
        if run.result is JobResult.TAKEN_OVER:
            return with_outcome(report, "another process has taken it over", Outcome.STOPPED)
        self._store.release(job.id, self._owner, changed=True)
        incomplete = run.result is JobResult.INCOMPLETE
        self._on_change(job.path, self._incomplete_seconds if incomplete else None)
        reason = "is not complete yet" if incomplete else "changed while it was explained"
        reason += "; waiting until it no longer changes"
        return with_outcome(report, reason, Outcome.STOPPED)

    def _record_retry(self, run: JobRun) -> JobReport:
        job, report = run.record, run.report
        if run.published:
            # Only some of the results could be published.
            remove_results(self._settings.output.local_folder, run.stem)
        error = report.error or "the file cannot be read now"
        if isinstance(report.cause, DiskFullError):
            self._disk.report_full(run.free_space)
            self._store.release(job.id, self._owner)
            return with_outcome(report, f"{error}; given back to the queue", Outcome.STOPPED)
        if job.attempts >= self._settings.watch.max_attempts:
            self._finish(job, JobState.FAILED, with_outcome(report, error, Outcome.FAILED))
            return with_outcome(report, f"{error} ({job.attempts} attempts)", Outcome.FAILED)
        pause = self._settings.watch.retry_delay * 2 ** (job.attempts - 1)
        pause = min(pause, _LONGEST_PAUSE)
        self._store.retry_later(job.id, self._owner, error, report.hint, pause)
        return with_outcome(report, f"{error}; trying again in {pause:g} s", Outcome.STOPPED)

    def _finish(self, job: JobRecord, state: JobState, report: JobReport) -> None:
        self._store.finish(job.id, self._owner, state, report)
        self.failed += state is JobState.FAILED
        if state is JobState.DONE:
            self.run_post_actions()


class _WithoutEnd(Observer):
    """Forwards a job's progress but not its end, which is reported once the store knows it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def file_started(self, info: SourceInfo) -> None:
        self._observer.file_started(info)

    def file_remarked(self, source: str, remark: str) -> None:
        self._observer.file_remarked(source, remark)

    def item_written(self, source: str, item: Item) -> None:
        self._observer.item_written(source, item)
