"""Health: whether the service makes progress; only then is systemd's watchdog fed.

That the process runs proves nothing: a forward pass can hang in a GPU's driver while all other
threads work. What counts are completed batches. Without work, in idle folders and with dead
cameras, there is nothing to prove.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from streamcam.clock import Clock
from streamcam.service.systemd import Notifier

_log = logging.getLogger(__name__)

# Without a watchdog to feed, progress is checked for the sake of /healthz.
_DEFAULT_SECONDS = 10.0


class MonitoredEngine(Protocol):
    """The part of an inference pipeline that shows its progress; read from any thread."""

    @property
    def busy(self) -> bool:
        """Whether frames wait for it or are in it; not while it loads a model, which takes long."""
        ...

    @property
    def finished(self) -> int:
        """Number of batches completed so far."""
        ...


class ProgressMonitor:
    """Detects engines and a main loop that are stuck.

    For one thread, not the supervisor's own, which calls `fault` several times within `timeout`.

    Args:
        engines: The engines, by their names for people.
        last_iteration: Returns when the supervisor's loop last began an iteration, on the clock's
            monotonic time.
        timeout: Seconds that a batch, and an iteration of the loop, may take. The slowest regular
            batch must fit.
    """

    def __init__(
        self,
        engines: Mapping[str, MonitoredEngine],
        last_iteration: Callable[[], float],
        *,
        timeout: float,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._timeout = timeout
        self._last_iteration = last_iteration
        now = self._clock.monotonic()
        self._engines = [_EngineProgress(name, engine, now) for name, engine in engines.items()]

    def fault(self) -> str | None:
        """Return what is stuck, for people; None if nothing is."""
        now = self._clock.monotonic()
        # Every engine is checked every time, whatever was found before it.
        stuck = [engine.fault(now, self._timeout) for engine in self._engines]
        idle = now - self._last_iteration()
        if idle > self._timeout:
            return f"the supervisor has stood still for {idle:.0f} s"
        return next((fault for fault in stuck if fault is not None), None)


class _EngineProgress:
    def __init__(self, name: str, engine: MonitoredEngine, now: float) -> None:
        self._name = name
        self._engine = engine
        self._finished = engine.finished
        self._last_progress = now

    def fault(self, now: float, timeout: float) -> str | None:
        # Read before the count: a batch that ends in between is then seen as progress.
        busy = self._engine.busy
        finished = self._engine.finished
        if not busy or finished != self._finished:
            self._finished, self._last_progress = finished, now
        seconds = now - self._last_progress
        if seconds <= timeout:
            return None
        return f"{self._name} has work but finished none for {seconds:.0f} s"


class Watchdog:
    """Checks progress and feeds systemd's watchdog, in a thread that nothing else can block.

    Attributes:
        fault: What is stuck, None while nothing is.
    """

    def __init__(self, monitor: ProgressMonitor, notifier: Notifier) -> None:
        self.fault: str | None = None
        self._monitor = monitor
        self._notifier = notifier
        self._interval = min(notifier.watchdog_interval or _DEFAULT_SECONDS, _DEFAULT_SECONDS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamcam watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            fault = self._monitor.fault()
            if fault is None:
                self._notifier.watchdog()
            elif self.fault is None:
                _log.critical("stuck: %s", fault)
            self.fault = fault
            if self._stopping.wait(self._interval):
                return
