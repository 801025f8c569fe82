"""Runs all that the configuration names: cameras, watched folders, the page; for months."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import ConfigError, DeviceError, StreamcamError, UsageError
from streamcam.jobs.folders import resolve_folders
from streamcam.pipeline.cameras.fleet import Fleet
from streamcam.pipeline.cameras.plan import plans
from streamcam.service.folders import FolderWatch
from streamcam.service.heart import Heart
from streamcam.service.http import HttpServer
from streamcam.service.listener import Listener
from streamcam.service.metrics import Metrics
from streamcam.service.notify import Notifier
from streamcam.service.pulse import EngineGauge, Pulse
from streamcam.service.view import View

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
        clock: Where the time comes from.

    Attributes:
        stuck: Whether something could not be ended: the process should not wait for its threads.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        notifier: Notifier,
        *,
        turn: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self.stuck = False
        self._load = load
        self._notifier = notifier
        self._turn = turn
        self._clock = clock or Clock()
        self._settings = checked(load())
        self._metrics = Metrics()
        self._listener = Listener(self._metrics)
        self._fleet = Fleet(
            self._settings,
            self._listener,
            on_stage=self._metrics.stage,
            fetching=self._listener.fetching,
            clock=self._clock,
        )
        self._turned = self._clock.monotonic()
        self._heart = Heart(self._pulse(), notifier)
        self._view = View(self._settings, self._fleet, self._listener, self._heart)
        self._server = HttpServer(self._view, self._metrics, self._settings.http, self._clock)
        self._folders: FolderWatch | None = None
        self._next_status = 0.0
        self._stopping = False
        self._reloading = False

    def stop(self) -> None:
        """End soon; sets a flag only, so that a signal handler may call it."""
        self._stopping = True

    def reload(self) -> None:
        """Read the configuration again soon; sets a flag only."""
        self._reloading = True

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
        self._fleet.keep(settings.retention)
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
            lambda: self._fleet.files_street(settings),
            self._clock,
        )
        self._view.folders = self._folders
        self._folders.start()

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = checked(self._load())
        except StreamcamError as error:
            _log.error("the configuration stays as it was: %s", error.message)
        else:
            self._apply(settings)
            _log.info("the configuration was read again: %s", self._summary())
            _warn_of_what_stays(self._fleet.settings, settings)
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
        cameras = f"{states.total()} cameras: {', '.join(parts)}" if parts else "no cameras"
        return f"{cameras}; {len(self._settings.folder)} folders"

    def _pulse(self) -> Pulse:
        street = self._fleet.street
        gauge = EngineGauge("the engine", lambda: street.busy, lambda: street.finished)
        return Pulse([gauge], lambda: self._turned, patience=_PATIENCE_SECONDS, clock=self._clock)

    def _end(self) -> None:
        self._notifier.stopping()
        if self._folders is not None:
            self._folders.stop()
        self._fleet.stop(_GRACE_SECONDS)
        if self._folders is not None:
            self._end_folders()
        self.stuck = self.stuck or self._fleet.stuck

    def _end_folders(self) -> None:
        assert self._folders is not None
        self._folders.stop()
        ended = self._folders.join(_GRACE_SECONDS)
        self.stuck = self.stuck or not ended or self._folders.stuck
        self._folders = self._view.folders = None


def checked(settings: Settings) -> Settings:
    """Return the settings, if a service can run by them.

    Raises:
        ConfigError: They name nothing to do, or folders that cannot be watched.
    """
    if not settings.folder and not plans(settings):
        raise ConfigError(
            "the configuration names nothing to explain",
            hint="Add a [[camera]] or a [[folder]]; see config.toml.",
        )
    paths = [folder.path for folder in settings.folder]
    try:
        resolve_folders(paths, recursive=settings.watch.recursive)
    except UsageError as error:
        raise ConfigError(f"folder: {error.message}", hint=error.hint) from None
    return settings


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


def _warn_of_what_stays(before: Settings, after: Settings) -> None:
    """Say what takes a restart to change."""
    fixed = {
        "[http]": (before.http, after.http),
        "model.batch": (before.model.batch, after.model.batch),
        "model.max_wait": (before.model.max_wait, after.model.max_wait),
        "output.folder": (before.output.folder, after.output.folder),
    }
    for name, (old, new) in fixed.items():
        if old != new:
            _log.warning("a change of %s takes effect at the next start", name)
