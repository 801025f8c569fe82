"""Runs all that the configuration names: cameras, watched folders, the page; for months."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import ConfigError, DeviceError, SinkError, StreamcamError, UsageError
from streamcam.jobs.watched_files import resolve_folders
from streamcam.service.events import ServiceEvents
from streamcam.service.health import EngineGauge, ProgressMonitor
from streamcam.service.http import HttpServer
from streamcam.service.metrics import Metrics
from streamcam.service.systemd import Notifier
from streamcam.service.view import View
from streamcam.service.watchdog import Watchdog
from streamcam.service.watched_folders import FolderWatch

_log = logging.getLogger(__name__)

# How soon a signal or a worker's end is noticed. A turn with 8 cameras takes 0.4 ms.
_TURN_SECONDS = 0.5

# The slowest honest batch: four frames of a large detector on a small CPU take 20 s.
_PATIENCE_SECONDS = 60.0

# How often systemd's status line is written anew.
_STATUS_SECONDS = 5.0

# Cameras and files get so long to end what they are at; systemd kills after 60 s.
_GRACE_SECONDS = 20.0

# A download that goes on asks systemd for so much more time again and again.
_EXTENSION_SECONDS = 60.0


class Supervisor:
    """The service: one engine, its cameras and folders, health and the page.

    Args:
        load: Reads the configuration.
        notifier: Tells systemd.
        turn: Called with every turn of the loop.
        patience: Seconds that a batch may take before the service counts as stuck.
        grace: Seconds that cameras, and files, get to end what they are at.
        clock: Where the time comes from.

    Raises:
        StreamcamError: What `load` raises, or `checked`.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        notifier: Notifier,
        *,
        turn: Callable[[], None] = lambda: None,
        patience: float = _PATIENCE_SECONDS,
        grace: float = _GRACE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._grace = grace
        self._notifier = notifier
        self._turn = turn
        self._clock = clock or Clock()
        self._settings = checked(load())
        self._metrics = Metrics()
        self._listener = ServiceEvents(self._metrics)
        self._fleet = CameraManager(
            self._settings,
            self._listener,
            on_stage=self._metrics.stage,
            clock=self._clock,
        )
        self._turned = self._clock.monotonic()
        self._heart = Watchdog(self._pulse(patience), notifier)
        self._view = View(self._settings, self._fleet, self._listener, self._heart)
        self._server = HttpServer(self._view, self._metrics, self._settings.http, self._clock)
        self._folders: FolderWatch | None = None
        self._folders_stuck = False
        self._next_status = 0.0
        self._stopping = False
        self._reloading = False

    def stop(self) -> None:
        """End soon; sets a flag only, so that a signal handler may call it."""
        self._stopping = True

    def reload(self) -> None:
        """Read the configuration again soon; sets a flag only."""
        self._reloading = True

    @property
    def stuck(self) -> bool:
        """Whether something could not be ended: the process should not wait for its threads."""
        return self._folders_stuck or self._fleet.stuck

    def run(self) -> None:
        """Run until stopped.

        Raises:
            DeviceError: The GPU failed: a new process has to begin.
            StreamcamError: The page cannot be served.
        """
        with ExitStack() as stack:
            stack.callback(self._view.close)
            if self._settings.http.enabled:
                self._server.start()
                stack.callback(self._server.stop)
            stack.enter_context(self._fleet)
            self._heart.start()
            stack.callback(self._heart.stop)
            try:
                self._apply(self._settings)
                self._turn_until_stopped()
            finally:
                self._end()

    def _turn_until_stopped(self) -> None:
        wake = threading.Event()
        while not self._stopping:
            self._turned = self._clock.monotonic()
            self._turn()
            self._raise_device_fault()
            if self._reloading:
                self._reloading = False
                self._reload()
            self._tell()
            wake.wait(_TURN_SECONDS)

    def _apply(self, settings: Settings) -> None:
        """Run exactly what the settings name; what they leave as it was goes on."""
        before, self._settings = self._settings, settings
        self._view.settings = settings
        self._fleet.keep(settings.output.folder, settings.retention)
        self._fleet.reconcile(plans(settings))
        if self._folders is None or _folder_part(before) != _folder_part(settings):
            self._watch_folders(settings)

    def _watch_folders(self, settings: Settings) -> None:
        if self._folders is not None:
            self._end_folders()
        paths = [folder.path for folder in settings.folder]
        if not paths:
            return
        self._folders = FolderWatch(
            paths,
            settings,
            self._listener,
            lambda: self._fleet.file_engine_provider(settings),
            self._clock,
        )
        self._view.folders = self._folders
        self._folders.start()

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = checked(self._load())
        except StreamcamError as error:
            # One line, and another reason is another fact.
            reason = "; ".join(line.strip() for line in error.message.splitlines())
            _log.error(f"the configuration stays as it was: {reason}")
        else:
            self._apply(_with_what_stays(settings, self._settings))
            _log.info("the configuration was read again: %s", self._summary())
        self._notifier.ready(self._summary())

    def _raise_device_fault(self) -> None:
        folders = self._folders.fault if self._folders is not None else None
        fault = self._fleet.fault or folders
        if isinstance(fault, DeviceError):
            raise fault

    def _tell(self) -> None:
        """Tell systemd how things are."""
        if not self._view.ready and self._is_warm():
            self._view.ready = True
            _log.info("ready: %s", self._summary())
            self._notifier.ready(self._summary())
        if self._clock.monotonic() < self._next_status:
            return
        self._next_status = self._clock.monotonic() + _STATUS_SECONDS
        if self._view.ready:
            self._notifier.status(self._summary())
        elif self._listener.is_fetching:
            self._notifier.extend_timeout(_EXTENSION_SECONDS)

    def _is_warm(self) -> bool:
        return self._fleet.warm and (self._folders is None or self._folders.warm)

    def _summary(self) -> str:
        """Return e.g. "2 cameras live, 1 backing off; 1 folder"."""
        states = Counter(status.state.value for status in self._fleet.statuses())
        parts = [f"{count} {state}" for state, count in states.items()]
        cameras = f"{_number(states.total(), 'camera')}: {', '.join(parts)}"
        return (
            f"{cameras if parts else 'no cameras'}; {_number(len(self._settings.folder), 'folder')}"
        )

    def _pulse(self, patience: float) -> ProgressMonitor:
        pipeline = self._fleet.pipeline
        gauge = EngineGauge("the engine", lambda: pipeline.busy, lambda: pipeline.finished)
        return ProgressMonitor([gauge], lambda: self._turned, patience=patience, clock=self._clock)

    def _end(self) -> None:
        _log.info("stopping")
        self._notifier.stopping()
        if self._folders is not None:
            self._folders.stop()
        self._fleet.stop(self._grace)
        if self._folders is not None:
            self._end_folders()

    def _end_folders(self) -> None:
        assert self._folders is not None
        self._folders.stop()
        ended = self._folders.join(self._grace)
        self._folders_stuck |= not ended or self._folders.stuck
        self._folders = self._view.folders = None


def checked(settings: Settings) -> Settings:
    """Return the settings, if a service can run by them.

    Raises:
        ConfigError: They name nothing to do, or folders that cannot be watched.
        SinkError: Results cannot be written. Unlike a bad configuration that may pass.
    """
    planned = plans(settings)
    if not settings.folder and not planned:
        raise ConfigError(
            "the configuration names nothing to explain",
            hint="Add a [[camera]] or a [[folder]]; see config.toml.",
        )
    paths = [folder.path for folder in settings.folder]
    try:
        resolve_folders(paths, recursive=settings.watch.recursive)
    except UsageError as error:
        raise ConfigError(f"folder: {error.message}", hint=error.hint) from None
    if settings.folder or any(plan.record != "never" for plan in planned):
        _prepare(settings.output.folder)
    return settings


def _prepare(output: Path) -> None:
    """Make the output folder, and see that it can be written to."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SinkError(
            f"output.folder: {output} cannot be written to: {reason}",
            hint="Is its disk there, and may this user write to it?",
        ) from error


def _folder_part(settings: Settings) -> Settings:
    """Return the settings without what does not concern watched folders."""
    neutral = Settings()
    return settings.model_copy(
        update={
            "camera": (),
            "live": neutral.live,
            "retention": neutral.retention,
            "http": neutral.http,
        }
    )


def _with_what_stays(settings: Settings, running: Settings) -> Settings:
    """Return settings with what takes a restart to change left as it runs, and say so."""
    batches = {"batch": running.model.batch, "max_wait": running.model.max_wait}
    changed = [
        f"model.{key}" for key, value in batches.items() if getattr(settings.model, key) != value
    ]
    if settings.http != running.http:
        changed.append("[http]")
    for name in changed:
        _log.warning("a change of %s takes effect at the next start", name, extra={"source": name})
    model = settings.model.model_copy(update=batches)
    return settings.model_copy(update={"model": model, "http": running.http})


def _number(count: int, what: str) -> str:
    """Return e.g. "1 folder" or "3 folders"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
