"""The watched folders of a service: a watcher in a thread, restarted when it fails."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, StreamcamError, UsageError
from streamcam.jobs.watcher import Watcher
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.retry import Backoff, RestartLimit

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class WatcherThread:
    """Runs a watcher in a thread.

    Attributes:
        fault: Why it was given up, None while it was not.
        stuck: Whether a job could not be ended.
        warm: Whether the files' detector is loaded, or cannot be had now.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        observer: Observer,
        make_provider: Callable[[], EngineProvider],
        clock: Clock,
    ) -> None:
        self.fault: StreamcamError | None = None
        self.stuck = False
        self.warm = False
        self._paths = paths
        self._settings = settings
        self._observer = observer
        self._make_provider = make_provider
        self._clock = clock
        self._watcher: Watcher | None = None
        self._stopping = threading.Event()
        self._restarts = RestartLimit(clock)
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._thread = threading.Thread(target=self._run, name="streamcam watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.stop()

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end; return whether it ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._warm_up()
        while not self._stopping.is_set():
            try:
                self._watch()
            except (DeviceError, UsageError) as error:
                self.fault = error
                return
            except Exception as error:  # noqa: BLE001 - the cameras go on
                if not self._may_restart(error):
                    return

    def _warm_up(self) -> None:
        """Load the detector before the first file needs it; the watcher reports faults."""
        with suppress(StreamcamError):
            self._make_provider().pipeline()
        self.warm = True

    def _watch(self) -> None:
        self._watcher = Watcher(
            self._paths,
            self._settings,
            self._observer,
            make_provider=self._make_provider,
            clock=self._clock,
        )
        if self._stopping.is_set():
            self._watcher.stop()
        try:
            self._watcher.run()
        finally:
            self.stuck = self._watcher.stuck

    def _may_restart(self, error: Exception) -> bool:
        if isinstance(error, StreamcamError):
            text = error.message
        else:
            text = f"internal fault: {type(error).__name__}: {error}"
        _log.debug("the watcher of folders failed", exc_info=error)
        if not self._restarts.allow():
            self.fault = StreamcamError(f"the watched folders were given up: {text}")
            _log.error("%s", self.fault.message)
            return False
        _log.error("the watcher of folders failed and is restarted: %s", text)
        self._stopping.wait(self._backoff.next())
        return True
