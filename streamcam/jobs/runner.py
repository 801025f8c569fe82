"""Runs ready jobs, several at a time, through one engine, and books how they end."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, DiskFullError, StreamcamError
from streamcam.files import readable
from streamcam.jobs.claim import JobResult, JobRun, told
from streamcam.jobs.conditions import OngoingConditions
from streamcam.jobs.disk import DiskGuard
from streamcam.jobs.folders import Folder
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.loader import Loader
from streamcam.jobs.post_action import PostAction
from streamcam.jobs.record import JobRecord, State
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_run import make_job
from streamcam.sinks.manifest import MANIFEST, read_manifest
from streamcam.sinks.registry import remove_results
from streamcam.sinks.result_paths import result_path
from streamcam.sources.inputs import Entry
from streamcam.types import Item, JobReport, Outcome, SourceInfo

# How often the end looks whether jobs have ended, once nothing else is to be done.
_POLL_SECONDS = 0.05

# Recovery judges owners that it cannot see by heartbeats that are 60 s old.
_BEAT_SECONDS = 5.0

# The first pause between attempts is a setting; each is twice the one before, up to this.
_LONGEST_PAUSE = 600.0

# A job whose file cannot be read is looked at again while its last change is this many times the
# settling time ago: copies that pause take their pauses more than once.
_PATIENCE = 3


class Runner:
    """Claims jobs and runs them; driven by `tick`, from one thread.

    Args:
        settings: What the user wants.
        folders: Whose jobs are run.
        owner: This process's name in the ledger.
        ledger: Where jobs are claimed.
        loader: Gives the engine.
        observer: Is told how the work goes.
        notices: Is told of what lasts.
        wake: Called from the jobs' threads when one has ended.
        on_change: Called with a file that has to stand still again, and for how long, None for the
            usual time.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        settings: Settings,
        folders: Sequence[Folder],
        owner: str,
        ledger: Ledger,
        loader: Loader,
        observer: Observer,
        notices: OngoingConditions,
        *,
        wake: Callable[[], None],
        on_change: Callable[[Path, float | None], None],
        clock: Clock,
    ) -> None:
        redone = settings.output.model_copy(update={"overwrite": True})
        self._settings = settings.model_copy(update={"output": redone})
        self._overwrite = settings.output.overwrite
        self._folders = folders
        self._roots = [folder.path for folder in folders]
        self._owner = owner
        self._ledger = ledger
        self._loader = loader
        self._observer = observer
        self._notices = notices
        self._wake = wake
        self._on_change = on_change
        self._clock = clock
        self._after = PostAction.parse(settings.watch.after)
        self._disk = DiskGuard(settings.output.folder, settings.watch.min_free, notices, clock)
        self._claims: list[JobRun] = []
        self._next_beat = 0.0
        self.failed = 0

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._claims)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits to be run."""
        return not self._claims and not self._ledger.rest(self._roots)

    def tick(self, *, claiming: bool = True) -> None:
        """Book what ended, and begin what is ready.

        Raises:
            StreamcamError: The engine can never be had, the GPU failed, or the ledger cannot be
                used.
        """
        self._collect()
        self._beat()
        while claiming and self._begin_next():
            pass

    def clear_due(self) -> None:
        """Move or delete the sources of jobs that are done."""
        for job in self._ledger.due(self._roots) if self._after.clears else ():
            try:
                self._after.clear(job, self._folders)
            except (OSError, StreamcamError) as error:
                self._notices.begin(
                    ("after", job.path),
                    f"{job.name}: is explained, but cannot be moved or deleted now: {error}",
                    f"{job.name}: was moved or deleted",
                )
                continue
            self._ledger.after_over(job.id)
            self._notices.end(("after", job.path))

    def changed(self, path: Path) -> None:
        """Give up the work on a file that is not what it was."""
        for claim in self._claims:
            if claim.path == path:
                claim.abort()

    def stop(self, grace: float, abort_within: float) -> bool:
        """Let running jobs end, then give back the others; begin nothing.

        Args:
            grace: Seconds that they have to end by themselves.
            abort_within: Seconds that they have to remove what they wrote, after that.

        Returns:
            Whether all of them ended. The jobs of those that did not are given back all the same.
        """
        self._await(grace)
        for claim in self._claims:
            claim.abort()
        self._await(abort_within)
        for claim in self._claims:
            self._ledger.give_back(claim.record.id, self._owner)
        return not self._claims

    def _await(self, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        while self._claims and self._clock.monotonic() < deadline:
            with suppress(StreamcamError):
                self.tick(claiming=False)
            time.sleep(_POLL_SECONDS)

    # Beginning

    def _begin_next(self) -> bool:
        """Begin one more job; tell whether yet another one may be begun."""
        alone = not self._claims
        if len(self._claims) >= self._settings.output.workers:
            return False
        if any(claim.record.suspect for claim in self._claims):
            return False
        if not self._ledger.rest(self._roots) or not self._disk.has_room():
            return False
        provider = self._loader.provider()
        if provider is None:
            return False
        record = self._ledger.claim(self._owner, self._roots, alone=alone)
        if record is None:
            return False
        if not self._recognised(record):
            self._begin(record, provider)
        return True

    def _begin(self, record: JobRecord, provider: EngineProvider) -> None:
        assert record.stem is not None
        entry = Entry(str(record.path), record.stem)
        claim = JobRun(
            record,
            lambda publishable: make_job(
                entry,
                self._settings,
                provider,
                _WithoutEnd(self._observer),
                self._clock,
                publishable,
            ),
            lambda: self._ledger.owned(record.id, self._owner),
            patience=_PATIENCE * self._settings.watch.settle,
            free=self._disk.free(),
            wake=self._wake,
        )
        self._claims.append(claim)
        claim.start()

    def _recognised(self, job: JobRecord) -> bool:
        """Book a job whose results are there already: made before a crash, or by `run`."""
        if job.redo or self._overwrite or job.stem is None:
            return False
        path = result_path(self._settings.output.folder, job.stem, MANIFEST.ending)
        manifest = read_manifest(path)
        try:
            younger = path.stat().st_mtime > job.path.stat().st_ctime
        except OSError:
            return False
        if manifest is None or not manifest.complete or not younger:
            return False
        files = {**manifest.outputs, "manifest": path}
        self._finish(job, State.DONE, JobReport(readable(job.path), Outcome.DONE, outputs=files))
        self._observer.file_ended(JobReport(readable(job.path), Outcome.SKIPPED))
        return True

    # Ending

    def _beat(self) -> None:
        if self._claims and self._clock.monotonic() >= self._next_beat:
            self._ledger.beat(self._owner)
            self._next_beat = self._clock.monotonic() + _BEAT_SECONDS

    def _collect(self) -> None:
        for claim in [claim for claim in self._claims if claim.ended]:
            report = self._book(claim)
            self._claims.remove(claim)
            self._observer.file_ended(report)
            if isinstance(claim.report.cause, DeviceError):
                raise claim.report.cause
            if claim.fault is not None:
                raise claim.fault

    def _book(self, claim: JobRun) -> JobReport:
        """Write into the ledger how a job ended; return what people are told."""
        job, report = claim.record, claim.report
        if claim.fault is not None or claim.verdict is JobResult.BACK:
            self._ledger.give_back(job.id, self._owner)
            return told(report, "given back to the queue", Outcome.STOPPED)
        if claim.verdict is JobResult.KEEP:
            state = State.DONE if report.outcome is Outcome.DONE else State.FAILED
            self._finish(job, state, report)
            return report
        if claim.verdict is JobResult.AGAIN:
            return self._book_again(claim)
        if claim.verdict is JobResult.GONE:
            reason = "the file went away while it was explained"
            self._ledger.finish(job.id, self._owner, State.SKIPPED, error=reason)
            return told(report, reason, Outcome.SKIPPED)
        if claim.verdict is JobResult.LOST:
            return told(report, "another process has taken it over", Outcome.STOPPED)
        self._ledger.give_back(job.id, self._owner, changed=True)
        unripe = claim.verdict is JobResult.UNRIPE
        self._on_change(job.path, _PATIENCE * self._settings.watch.settle if unripe else None)
        reason = "is not whole yet" if unripe else "changed while it was explained"
        return told(report, f"{reason}; waiting until it stands still", Outcome.STOPPED)

    def _book_again(self, claim: JobRun) -> JobReport:
        job, report = claim.record, claim.report
        if claim.published:
            self._withdraw(job)
        error = report.error or "the file cannot be read now"
        if isinstance(report.cause, DiskFullError):
            self._disk.was_full(claim.free)
            self._ledger.give_back(job.id, self._owner)
            return told(report, f"{error}; given back to the queue", Outcome.STOPPED)
        if job.attempts >= self._settings.watch.max_attempts:
            self._finish(job, State.FAILED, told(report, error, Outcome.FAILED))
            return told(report, f"{error} ({job.attempts} attempts)", Outcome.FAILED)
        wait = self._settings.watch.retry_delay * 2 ** (job.attempts - 1)
        wait = min(wait, _LONGEST_PAUSE)
        self._ledger.retry_later(job.id, self._owner, error, report.hint, wait)
        return told(report, f"{error}; trying again in {wait:g} s", Outcome.STOPPED)

    def _withdraw(self, job: JobRecord) -> None:
        """Remove results of which only some could be published."""
        assert job.stem is not None
        remove_results(self._settings.output.folder, job.stem)

    def _finish(self, job: JobRecord, state: State, report: JobReport) -> None:
        self._ledger.finish(
            job.id,
            self._owner,
            state,
            outputs=report.outputs,
            error=report.error,
            hint=report.hint,
            after=state is State.DONE and self._after.clears,
        )
        self.failed += state is State.FAILED
        if state is State.DONE:
            self.clear_due()


class _WithoutEnd(Observer):
    """Passes a job's progress on, but not its end: that follows once the ledger has it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def file_started(self, info: SourceInfo) -> None:
        self._observer.file_started(info)

    def item_written(self, source: str, item: Item) -> None:
        self._observer.item_written(source, item)
