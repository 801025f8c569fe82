"""Health: whether the service makes progress, and what systemd is told of it.

That the process runs proves nothing: a forward pass can hang in a GPU's driver while all other
threads work. What counts are completed batches. Without work, in idle folders and with dead
cameras, there is nothing to prove. Only while there is progress is systemd's watchdog fed.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

from streamcam.clock import Clock
from streamcam.escapes import printable

_log = logging.getLogger(__name__)

# Without a watchdog to feed, progress is checked for the sake of /healthz.
_DEFAULT_SECONDS = 10.0

# The socket's queue is full only while systemd itself is busy, e.g. at its own daemon-reload, which
# takes it well under a second. The watchdog is fed from the thread that waits here.
_SEND_SECONDS = 5.0


class MonitoredEngine(Protocol):
    """The part of an inference pipeline that shows its progress; read from any thread.

    It is busy while frames wait for it or are in it, but not while it loads a model, which takes
    long. `finished` is the number of batches completed so far.
    """

    @property
    def busy(self) -> bool: ...

    @property
    def finished(self) -> int: ...


class ProgressMonitor:
    """Detects an engine, one of several perhaps, or a main loop that is stuck.

    For one thread, not the supervisor's own, which calls `fault` several times within `timeout`
    seconds: longer than the slowest regular batch.

    Args:
        last_iteration: Returns when the supervisor's loop last began an iteration, in monotonic
            seconds.
    """

    def __init__(
        self,
        engines: Sequence[MonitoredEngine],
        last_iteration: Callable[[], float],
        *,
        timeout: float,
        clock: Clock | None = None,
    ) -> None:
        self._engines = [_Progress(engine) for engine in engines]
        self._last_iteration = last_iteration
        self._timeout = timeout
        self._clock = clock or Clock()
        for engine in self._engines:
            engine.seconds_without(self._clock.monotonic())

    def fault(self) -> str | None:
        """Return what is stuck, for people; None if nothing is."""
        now = self._clock.monotonic()
        # The engines are checked every time, whatever the loop does.
        without_progress = max(engine.seconds_without(now) for engine in self._engines)
        idle = now - self._last_iteration()
        if idle > self._timeout:
            return f"the supervisor has stood still for {idle:.0f} s"
        if without_progress > self._timeout:
            return f"the engine has work but finished none for {without_progress:.0f} s"
        return None


class _Progress:
    """What was seen of an engine's progress."""

    def __init__(self, engine: MonitoredEngine) -> None:
        self._engine = engine
        self._finished = -1
        self._last_progress = 0.0

    def seconds_without(self, now: float) -> float:
        """Return for how long the engine has had work and finished none."""
        # Read before the count: a batch that ends in between is then seen as progress.
        busy = self._engine.busy
        finished = self._engine.finished
        if not busy or finished != self._finished:
            self._finished, self._last_progress = finished, now
        return now - self._last_progress


class Notifier:
    """Sends datagrams of `NAME=value` lines to the service manager, see sd_notify(3).

    From any thread. No method raises: the service works on when its manager does not listen.

    Args:
        address: The manager's socket: a path, or "@" and an abstract name. None: nothing is sent.
        watchdog_interval: Seconds between calls of `watchdog`: half the time after which the
            manager kills the service. None if the manager has no watchdog.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        watchdog_interval: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._clock = clock or Clock()
        self.watchdog_interval = watchdog_interval

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            _log.warning("NOTIFY_SOCKET is not an address that can be notified: %s", address)
            address = None
        return cls(address, watchdog_interval=_watchdog_interval(environment))

    def ready(self, status: str) -> None:
        """Report that the service has started, or has reloaded."""
        self._send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """Set the one-line status that `systemctl status` shows."""
        self._send(_status(text))

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that the configuration is read again; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={_microseconds(self._clock.monotonic())}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this many seconds from now on to start, or to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={_microseconds(seconds)}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        # A leading NUL makes an abstract name.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(_SEND_SECONDS)
                channel.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            _log.debug("the service manager does not listen: %s", error)


def _status(text: str) -> str:
    # A line break would end the value.
    return f"STATUS={printable(' '.join(text.split()))}"


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _watchdog_interval(environment: Mapping[str, str]) -> float | None:
    """Return half the manager's timeout in seconds, as sd_watchdog_enabled(3) advises."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        # Set for the process that started this one.
        return None
    timeout = environment.get("WATCHDOG_USEC", "")
    return int(timeout) / 2_000_000 if timeout.isdecimal() and int(timeout) else None


class Watchdog:
    """Checks progress and feeds systemd's watchdog, in a thread that nothing else can block.

    `fault` is what is stuck, None while nothing is.
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
