"""The wiring of `streamcam watch`: folders in, results out, until stopped."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DiskFullError
from streamcam.jobs.intake import Intake
from streamcam.jobs.job_run import PostAction
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.owner import crash_log, crash_of, remove_old_crash_logs, this_process
from streamcam.jobs.resources import EngineLoader, OngoingConditions
from streamcam.jobs.runner import Runner
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import Selection, remove_unfinished_results, resolve_folders
from streamcam.observer import Observer
from streamcam.pipeline.engine_pool import make_engine_provider
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_sinks import check_records
from streamcam.pipeline.result_folder import check_output_folder

# How long the loop sleeps when nothing wakes it: a signal, a job queued by another process, a disk
# with space again are noticed within it. An iteration with nothing to do took 0.01 ms.
_IDLE_SECONDS = 0.5

# Period of recovering other watchers' jobs, and of moving sources that could not be moved.
_MAINTENANCE_SECONDS = 5.0

# How long aborted jobs get to remove their unfinished files: one forward of a slow model.
_ABORT_SECONDS = 5.0

# With `once`, a file that still changes after this many settling times is left for the next run.
_ONCE_FACTOR = 15


def state_folder(settings: Settings) -> Path:
    """Return the folder of the job store: the set one, or one beside the results."""
    output = settings.output.local_folder.absolute()
    return settings.watch.state or output.with_name(f"{output.name}.state")


class Watcher:
    """Explains the files that come into folders.

    Raises `UsageError` where a path, and `JobStoreError` where the job store cannot be used.

    Args:
        once: Whether to end when everything that is there is explained.
        make_provider: Makes the engine's provider, where the engine is not to be the watcher's own.

    Attributes:
        stuck: Whether a job could not be ended: the process should not wait for its threads.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        observer: Observer,
        *,
        once: bool = False,
        make_provider: Callable[[], EngineProvider] | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_output_folder(settings.output.local_folder)
        check_records(settings.output)
        self.stuck = False
        self._settings = settings
        self._folders = resolve_folders(paths, recursive=settings.watch.recursive)
        self._observer = observer
        self._once = once
        self._clock = clock or Clock()
        self._wake = threading.Event()
        self._state = state_folder(settings)
        self._owner = this_process()
        self._conditions = OngoingConditions(observer.notice)
        self._post_action = PostAction.parse(settings.watch.after)
        self._stopping = False
        self._next_maintenance = 0.0
        self._store = JobStore(
            self._state / FILE_NAME, clears_sources=self._post_action.clears_sources
        )
        self._loader = EngineLoader(
            make_provider or partial(make_engine_provider, settings, observer.download_progressed),
            self._conditions,
            wake=self._wake.set,
            clock=self._clock,
            patient=not once,
        )
        self._runner = self._make_runner()
        self._intake = self._make_intake()

    def _make_runner(self) -> Runner:
        return Runner(
            self._settings,
            self._folders,
            self._owner,
            self._store,
            self._loader,
            self._post_action,
            self._observer,
            self._conditions,
            wake=self._wake.set,
            on_change=self._recheck,
            clock=self._clock,
        )

    def _make_intake(self) -> Intake:
        own = (self._settings.output.local_folder, self._state, self._post_action.folder)
        ignored = tuple(folder.resolve() for folder in own if folder is not None)
        return Intake(
            self._folders,
            Selection(self._settings.watch, ignored),
            self._store,
            self._conditions,
            on_change=self._runner.abort_changed,
            wake=self._wake.set,
            clock=self._clock,
        )

    def _recheck(self, path: Path, wait: float | None) -> None:
        self._intake.recheck(path, wait=wait)

    def stop(self) -> None:
        """End soon; sets a flag only, so that a signal handler may call it."""
        self._stopping = True

    def run(self) -> int:
        """Watch until stopped, or until all is explained; return the number of failed jobs.

        Raises `StreamcamError` where the job store or the engine cannot be used, or the GPU failed.
        """
        try:
            with crash_log(self._state, self._owner):
                self._recover_jobs()
                remove_old_crash_logs(self._state)
                self._work()
        finally:
            self._store.close()
        return self._runner.failed

    def _work(self) -> None:
        try:
            self._loop()
            self._shut_down(self._settings.watch.grace)
        except BaseException:
            self._shut_down(0)
            raise

    def _loop(self) -> None:
        started = self._clock.monotonic()
        while not self._stopping:
            pause = self._tick()
            if self._once and self._is_done(self._clock.monotonic() - started):
                return
            self._wake.wait(pause)
            self._wake.clear()

    def _tick(self) -> float:
        """Do what is due; return the seconds until something will be."""
        try:
            due = self._intake.tick()
            self._runner.tick()
            self._maintain()
        except DiskFullError as error:
            self._conditions.begin(
                "job store", f"{error.message}; waiting until there is", "going on"
            )
            self._intake.rescan()
            return _IDLE_SECONDS
        self._conditions.end("job store")
        return min(_IDLE_SECONDS, max(0.0, due - self._clock.monotonic()))

    def _maintain(self) -> None:
        if self._clock.monotonic() >= self._next_maintenance:
            self._recover_jobs()
            self._runner.run_post_actions()
            self._next_maintenance = self._clock.monotonic() + _MAINTENANCE_SECONDS

    def _recover_jobs(self) -> None:
        crash = partial(crash_of, self._state)
        recovered = self._store.recover(crash, self._settings.watch.max_attempts)
        for job, failure in recovered:
            reason = failure or "back in the queue: the process that had it has ended"
            self._observer.notice(f"{job.name}: {reason}")
        if recovered or not self._next_maintenance:
            remove_unfinished_results(self._settings.output.local_folder)

    def _is_done(self, seconds: float) -> bool:
        """Tell whether everything that is there is explained, or will not be ready soon."""
        waiting, busy = self._intake.waiting, self._intake.busy
        if waiting > len(busy) or not self._runner.idle:
            return False
        if waiting and seconds < _ONCE_FACTOR * self._settings.watch.settle:
            return False
        for path in busy:
            self._observer.notice(f"{path}: is still being written; left for the next time")
        return True

    def _shut_down(self, grace: float) -> None:
        self._intake.stop()
        ended = self._runner.stop(grace, _ABORT_SECONDS)
        closed = ended and self._loader.close(_ABORT_SECONDS)
        self.stuck = not closed
