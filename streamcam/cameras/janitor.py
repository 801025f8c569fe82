"""Sweeps old recordings away, now and then."""

import logging
import threading
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config.camera_schema import RetentionSettings
from streamcam.sinks.recording.retention import Retention

_log = logging.getLogger(__name__)

# Eight cameras of 1080p write about 0.5 GB in a minute: what has to stay free covers that.
_PERIOD_SECONDS = 60.0
_DAY_SECONDS = 86400.0


class RetentionThread:
    """Keeps an output folder within its bounds, from a thread of its own.

    Args:
        folder: Holds the cameras' folders.
        settings: The bounds.
        clock: Where the time comes from.
        period: Seconds between two sweeps.
    """

    def __init__(
        self,
        folder: Path,
        settings: RetentionSettings,
        clock: Clock,
        period: float = _PERIOD_SECONDS,
    ) -> None:
        self._clock = clock
        self._period = period
        self._retention = self._bounded(folder, settings)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="streamcam janitor", daemon=True)

    def start(self) -> None:
        """Sweep, and again after each period."""
        self._thread.start()

    def change(self, folder: Path, settings: RetentionSettings) -> None:
        """Take another folder or other bounds from the next sweep on. From any thread."""
        self._retention = self._bounded(folder, settings)

    def stop(self, timeout: float) -> bool:
        """End; tell whether that could be done within so many seconds."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _bounded(self, folder: Path, settings: RetentionSettings) -> Retention:
        return Retention(
            folder,
            max_age=_seconds(settings.max_age),
            max_age_records=_seconds(settings.max_age_records),
            max_bytes=settings.max_bytes,
            min_free=settings.min_free,
            clock=self._clock,
        )

    def _work(self) -> None:
        while True:
            self._sweep()
            if self._stopping.wait(self._period):
                return

    def _sweep(self) -> None:
        try:
            swept = self._retention.sweep()
        except Exception as error:  # noqa: BLE001 - the cameras go on
            _log.error("old recordings could not be swept: %s: %s", type(error).__name__, error)
            return
        for kind, deleted in (("videos", swept.videos), ("records", swept.records)):
            if deleted.files:
                megabytes = deleted.bytes / 1e6
                _log.info("%d old %s were deleted, %.1f MB", deleted.files, kind, megabytes)


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * _DAY_SECONDS
