"""The service: runs the cameras, the watched folders and the HTTP server of a configuration."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.config.config_file import ConfigFile
from streamcam.errors import ConfigError, DeviceError, SinkError, StreamcamError, UsageError
from streamcam.jobs.watched_files import resolve_folders
from streamcam.malloc import limit_arenas, return_free_memory
from streamcam.notifications.notifiers import Notifiers
from streamcam.observer import Observers
from streamcam.service.health import Notifier, ProgressMonitor, Watchdog
from streamcam.service.http.server import HttpServer
from streamcam.service.metrics import Metrics
from streamcam.service.region_editor import RegionEditor
from streamcam.service.reporting import ServiceObserver
from streamcam.service.service_status import ServiceStatus
from streamcam.service.watcher_thread import WatcherThread

_log = logging.getLogger(__name__)

# Pause of the loop: how late a signal or a worker's end is noticed. An iteration with 8 cameras
# takes 0.4 ms.
_LOOP_SECONDS = 0.5

# The slowest regular batch, four frames of a large detector on a small CPU, takes 20 s.
_STUCK_SECONDS = 60.0

# Period of systemd's status line.
_STATUS_SECONDS = 5.0

# Period of returning free memory to the system: 3 ms of CPU time with four cameras, 14 ms after a
# video of 720p. With a period of a minute they held 740 MB instead of 650, by turns.
_TRIM_SECONDS = 10.0

# Time for cameras and files to finish their work at the end; systemd kills after 60 s.
_GRACE_SECONDS = 20.0

# Time to tell brokers and webhooks of the last events: some hundred messages.
_FAREWELL_SECONDS = 5.0

# By this time, a running download extends systemd's start timeout repeatedly.
_EXTENSION_SECONDS = 60.0


class Supervisor:
    """Runs one engine, its cameras and folders, the watchdog and the HTTP server.

    Raises what `load` and `checked` raise.

    Args:
        load: Reads the settings, at the start and at every reload.
        config_file: Where they stand, for changes from the page.
        stuck_after: Seconds that a batch may take before the service counts as stuck.
        grace: Seconds for cameras, and for files, to finish their work at the end.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        config_file: ConfigFile,
        notifier: Notifier,
        *,
        on_iteration: Callable[[], None] = lambda: None,
        stuck_after: float = _STUCK_SECONDS,
        grace: float = _GRACE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._grace = grace
        self._notifier = notifier
        self._on_iteration = on_iteration
        self._clock = clock or Clock()
        self._settings = checked(load())
        self._metrics = Metrics()
        self._reporting = ServiceObserver(self._metrics)
        self._notifiers = Notifiers(self._clock)
        self._notifiers.check(self._settings)
        self._observer = Observers([self._reporting, self._notifiers])
        self._cameras = CameraManager(self._settings, self._observer, clock=self._clock)
        self._last_iteration = self._clock.monotonic()
        monitor = ProgressMonitor(
            self._cameras.devices.pipelines,
            lambda: self._last_iteration,
            timeout=stuck_after,
            clock=self._clock,
        )
        self._watchdog = Watchdog(monitor, notifier)
        self._status = ServiceStatus(
            self._settings,
            self._cameras,
            self._watchdog,
            self._reporting.progress,
            self._notifiers.counts,
        )
        editor = RegionEditor(config_file, checked, self.reload)
        self._server = HttpServer(
            self._status, self._metrics, self._settings.http, editor, self._clock
        )
        self._folders: WatcherThread | None = None
        self._folders_stuck = False
        self._next_status = self._next_trim = 0.0
        self._stopping = False
        self._reloading = False

    def stop(self) -> None:
        """Request the end; sets a flag only, so that a signal handler may call it."""
        self._stopping = True

    def reload(self) -> None:
        """Request that the configuration is read again; sets a flag only."""
        self._reloading = True

    @property
    def stuck(self) -> bool:
        """Whether something could not be ended: the process should not wait for its threads."""
        return self._folders_stuck or self._cameras.stuck

    def run(self) -> None:
        """Run until stopped; raises `DeviceError` where the GPU failed: a new process is needed."""
        limit_arenas()
        with ExitStack() as stack:
            stack.callback(self._status.close)
            if self._settings.http.enabled:
                self._server.start()
                stack.callback(self._server.stop)
            stack.enter_context(self._cameras)
            self._watchdog.start()
            stack.callback(self._watchdog.stop)
            try:
                self._apply(self._settings)
                self._loop()
            finally:
                self._end()

    def _loop(self) -> None:
        while not self._stopping:
            self._last_iteration = self._clock.monotonic()
            self._on_iteration()
            self._cameras.leave_failed_devices()
            self._raise_device_fault()
            if self._reloading:
                self._reloading = False
                self._reload()
            self._report()
            self._trim()
            time.sleep(_LOOP_SECONDS)

    def _apply(self, settings: Settings) -> None:
        """Run exactly what the settings name; what has not changed keeps running."""
        before, self._settings = self._settings, settings
        self._status.settings = settings
        self._cameras.set_retention(settings.output.local_folder, settings.retention)
        self._cameras.reconcile(plans(settings))
        self._notifiers.apply(settings, self._cameras, _FAREWELL_SECONDS)
        if self._folders is None or _folder_part(before) != _folder_part(settings):
            self._watch_folders(settings)

    def _watch_folders(self, settings: Settings) -> None:
        if self._folders is not None:
            self._end_folders()
        paths = [folder.path for folder in settings.folder]
        if not paths:
            return
        self._folders = WatcherThread(
            paths,
            settings,
            self._observer,
            lambda: self._cameras.devices.file_engine_provider(settings),
            self._clock,
        )
        self._status.folders = self._folders
        self._folders.start()

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = checked(self._load())
            self._notifiers.check(settings)
        except StreamcamError as error:
            # In the template, so that another reason is not a repetition to the log.
            _log.error(f"the configuration stays as it was: {error}")
        else:
            self._apply(_reloadable(settings, self._settings))
            _log.info("the configuration was read again: %s", self._summary())
        self._notifier.ready(self._summary())

    def _raise_device_fault(self) -> None:
        folders = self._folders.fault if self._folders is not None else None
        fault = self._cameras.fault or folders
        if isinstance(fault, DeviceError):
            raise fault

    def _report(self) -> None:
        if not self._status.ready and self._is_warm():
            self._status.ready = True
            _log.info("ready: %s", self._summary())
            self._notifier.ready(self._summary())
        if self._clock.monotonic() < self._next_status:
            return
        self._next_status = self._clock.monotonic() + _STATUS_SECONDS
        if self._status.ready:
            self._notifier.status(self._summary())
        elif self._reporting.is_downloading:
            self._notifier.extend_timeout(_EXTENSION_SECONDS)

    def _trim(self) -> None:
        if self._clock.monotonic() >= self._next_trim:
            self._next_trim = self._clock.monotonic() + _TRIM_SECONDS
            return_free_memory()

    def _is_warm(self) -> bool:
        return self._cameras.warm and (self._folders is None or self._folders.warm)

    def _summary(self) -> str:
        """Return e.g. "2 cameras live, 1 backing off; 1 folder"."""
        states = Counter(status.state.value for status in self._cameras.statuses())
        parts = [f"{count} {state}" for state, count in states.items()]
        cameras = f"{_number(states.total(), 'camera')}: {', '.join(parts)}"
        folders = _number(len(self._settings.folder), "folder")
        return f"{cameras if parts else 'no cameras'}; {folders}"

    def _end(self) -> None:
        _log.info("stopping")
        self._notifier.stopping()
        if self._folders is not None:
            self._folders.stop()
        self._cameras.stop(self._grace)
        if self._folders is not None:
            self._end_folders()
        self._notifiers.stop(_FAREWELL_SECONDS)

    def _end_folders(self) -> None:
        assert self._folders is not None
        self._folders.stop()
        ended = self._folders.join(self._grace)
        self._folders_stuck |= not ended or self._folders.stuck
        self._folders = self._status.folders = None


def checked(settings: Settings) -> Settings:
    """Return the settings, if a service can run with them.

    Raises `ConfigError`, or `SinkError` where results cannot be written: that may pass.
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
    if settings.folder or any(plan.record != "never" or plan.events for plan in planned):
        _check_writable(settings.output.local_folder)
    return settings


def _check_writable(output: Path) -> None:
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
    """Return the settings with those that do not concern watched folders at their defaults."""
    others = {"camera", "live", "retention", "http", "mqtt", "webhook"}
    return settings.model_copy(update={key: getattr(Settings(), key) for key in others})


def _reloadable(settings: Settings, running: Settings) -> Settings:
    """Return new settings; of those that need a restart, keep the running ones and log them."""
    kept: dict[str, object] = {"batch": running.model.batch, "max_wait": running.model.max_wait}
    if settings.model.several_devices or running.model.several_devices:
        kept["device"] = running.model.device
    changed = [
        f"model.{key}" for key, value in kept.items() if getattr(settings.model, key) != value
    ]
    if settings.http != running.http:
        changed.append("[http]")
    for name in changed:
        _log.warning("a change of %s takes effect at the next start", name, extra={"source": name})
    model = settings.model.model_copy(update=kept)
    return settings.model_copy(update={"model": model, "http": running.http})


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
