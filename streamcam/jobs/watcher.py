"""Files in, results out, for ever: the wiring of `streamcam watch`."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DiskFullError
from streamcam.jobs.arrivals import Arrivals
from streamcam.jobs.conditions import OngoingConditions
from streamcam.jobs.crash import CrashLog, crash_of, sweep_crashes
from streamcam.jobs.database import FILE_NAME, Database
from streamcam.jobs.folders import Selection, resolve_folders
from streamcam.jobs.intake import Intake, Schedule
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.loader import Loader
from streamcam.jobs.owner import myself
from streamcam.jobs.post_action import PostAction
from streamcam.jobs.recovery import take_back
from streamcam.jobs.runner import Runner
from streamcam.jobs.sweeping import sweep_parts
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider, LazyEngineProvider

# How long the loop sleeps when nothing calls: a signal, a retry of somebody's, a disk with room
# again are noticed within it. A turn with nothing to do took 0.01 ms.
_TURN_SECONDS = 0.5

# How often other watchers' jobs, and sources that could not be moved, are looked after.
_CARE_SECONDS = 5.0

# How long aborted jobs get to remove their unfinished files: one forward of a slow model.
_ABORT_SECONDS = 5.0

# With `once`, a file that still changes after so many settling times is left for the next time.
_ONCE_PATIENCE = 15


def state_folder(settings: Settings) -> Path:
    """Return where the ledger is: the set folder, or one beside the results."""
    output = settings.output.folder.absolute()
    return settings.watch.state or output.with_name(f"{output.name}.state")


class Watch:
    """Explains what comes into folders.

    Args:
        paths: The folders.
        settings: What the user wants.
        observer: Is told how it goes.
        once: Whether to end when everything that is there is explained.
        make_provider: Makes the engine provider, where the watcher is not to have its own engine.
        clock: Where the time comes from.

    Attributes:
        stuck: Whether a job could not be ended: the process should not wait for its threads.

    Raises:
        UsageError: A path cannot be watched.
        LedgerError: The ledger cannot be used.
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
        self.stuck = False
        self._settings = settings
        self._folders = resolve_folders(paths, recursive=settings.watch.recursive)
        self._observer = observer
        self._once = once
        self._clock = clock or Clock()
        self._wake = threading.Event()
        self._state = state_folder(settings)
        self._owner = myself()
        self._notices = OngoingConditions(observer.notice)
        self._stopping = False
        self._next_care = 0.0
        self._database = Database(self._state / FILE_NAME)
        self._loader = Loader(
            make_provider or (lambda: LazyEngineProvider(settings, observer.download_progressed)),
            self._notices,
            wake=self._wake.set,
            clock=self._clock,
            patient=not once,
        )
        self._runner = self._make_runner()
        self._intake = self._make_intake()

    def stop(self) -> None:
        """End soon; sets a flag only, so that a signal handler may call it."""
        self._stopping = True

    def run(self) -> int:
        """Watch until stopped, or until all is explained; return how many jobs failed for good.

        Raises:
            StreamcamError: The ledger or the engine cannot be used, or the GPU failed.
        """
        try:
            with CrashLog(self._state, self._owner):
                self._recover()
                sweep_crashes(self._state)
                self._work()
        finally:
            self._database.close()
        return self._runner.failed

    def _work(self) -> None:
        try:
            self._turn_until_stopped()
            self._end(self._settings.watch.grace)
        except BaseException:
            self._end(0)
            raise

    def _turn_until_stopped(self) -> None:
        begun = self._clock.monotonic()
        while not self._stopping:
            pause = self._turn()
            if self._once and self._drained(self._clock.monotonic() - begun):
                return
            self._wake.wait(pause)
            self._wake.clear()

    def _turn(self) -> float:
        """Do what is due; return the seconds until something will be."""
        try:
            due = self._intake.tick()
            self._runner.tick()
            self._care()
        except DiskFullError as error:
            self._notices.begin("ledger", f"{error.message}; waiting until there is", "going on")
            self._intake.rescan()
            return _TURN_SECONDS
        self._notices.end("ledger")
        return min(_TURN_SECONDS, max(0.0, due - self._clock.monotonic()))

    def _care(self) -> None:
        if self._clock.monotonic() >= self._next_care:
            self._recover()
            self._runner.clear_due()
            self._next_care = self._clock.monotonic() + _CARE_SECONDS

    def _recover(self) -> None:
        """Take back the jobs of processes that have ended, and remove what they left."""
        recovered = take_back(
            self._database,
            lambda owner: crash_of(self._state, owner),
            self._settings.watch.max_attempts,
        )
        for job in recovered:
            reason = job.reason or "back in the queue: the process that had it has ended"
            self._observer.notice(f"{job.job.name}: {reason}")
        if recovered or not self._next_care:
            sweep_parts(self._settings.output.folder)

    def _drained(self, seconds: float) -> bool:
        """Tell whether everything that is there is explained, or will not be ready soon."""
        waiting, busy = self._intake.waiting, self._intake.busy
        if waiting > len(busy) or not self._runner.idle:
            return False
        if waiting and seconds < _ONCE_PATIENCE * self._settings.watch.settle:
            return False
        for path in busy:
            self._observer.notice(f"{path}: is still being written; left for the next time")
        return True

    def _end(self, grace: float) -> None:
        self._intake.stop()
        ended = self._runner.stop(grace, _ABORT_SECONDS)
        closed = ended and self._loader.close(_ABORT_SECONDS)
        self.stuck = not closed

    def _make_runner(self) -> Runner:
        return Runner(
            self._settings,
            self._folders,
            self._owner,
            Ledger(self._database),
            self._loader,
            self._observer,
            self._notices,
            wake=self._wake.set,
            on_change=lambda path, wait: self._intake.touch(path, wait=wait),
            clock=self._clock,
        )

    def _make_intake(self) -> Intake:
        watch = self._settings.watch
        after = PostAction.parse(watch.after)
        ours = (self._settings.output.folder, self._state, after.folder)
        selection = Selection(
            recursive=watch.recursive,
            include=watch.include,
            exclude=watch.exclude,
            ignored=tuple(folder.resolve() for folder in ours if folder is not None),
        )
        return Intake(
            self._folders,
            selection,
            Schedule(watch.settle, watch.rescan, watch.poll_interval, events=not watch.poll),
            Arrivals(self._database, clear=after.clears),
            self._notices,
            on_change=self._runner.changed,
            wake=self._wake.set,
            clock=self._clock,
        )
