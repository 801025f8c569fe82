"""Feeds systemd's watchdog for as long as work gets done."""

import logging
import threading

from streamcam.service.health import ProgressMonitor
from streamcam.service.systemd import Notifier

_log = logging.getLogger(__name__)

# Without a watchdog to feed, progress is looked at for the sake of /healthz.
_USUAL_SECONDS = 10.0


class Watchdog:
    """Looks at the pulse in a thread of its own, which nothing else can hold up.

    Args:
        pulse: Tells whether work gets done.
        notifier: Feeds the watchdog.

    Attributes:
        fault: What is stuck, None while nothing is.
    """

    def __init__(self, pulse: ProgressMonitor, notifier: Notifier) -> None:
        self.fault: str | None = None
        self._pulse = pulse
        self._notifier = notifier
        self._interval = min(notifier.watchdog_interval or _USUAL_SECONDS, _USUAL_SECONDS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="streamcam heart", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            fault = self._pulse.fault()
            if fault is None:
                self._notifier.watchdog()
            elif self.fault is None:
                _log.critical("stuck: %s", fault)
            self.fault = fault
            if self._stopping.wait(self._interval):
                return
