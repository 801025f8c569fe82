"""Hears how cameras and files fare: writes the log and counts for the metrics."""

import logging
import threading
from statistics import fmean

from streamcam.observer import Observer
from streamcam.service.metrics import FILES, Metrics
from streamcam.types import (
    CameraState,
    CameraStatus,
    FrameResult,
    Item,
    JobReport,
    Outcome,
    SourceInfo,
)

_log = logging.getLogger("streamcam.service")

_LEVELS = {
    CameraState.CONNECTING: logging.DEBUG,
    CameraState.LIVE: logging.INFO,
    CameraState.STALLED: logging.WARNING,
    CameraState.BACKING_OFF: logging.WARNING,
    CameraState.FAILED: logging.ERROR,
    CameraState.STOPPED: logging.INFO,
}


class ServiceEvents(Observer):
    """Is told of everything; from any thread.

    Args:
        metrics: Counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._states: dict[str, tuple[CameraState, str | None]] = {}
        self._fetching: set[str] = set()
        self._progress: dict[str, tuple[float | None, float]] = {}

    def progress(self, source: str) -> float | None:
        """Return how much of a running file is done, 0..1; None where that is unknown."""
        with self._lock:
            length, reached = self._progress.get(source, (None, 0.0))
        return min(1.0, reached / length) if length else None

    def camera_changed(self, status: CameraStatus) -> None:
        """Log a camera's state. One that is tried again in vain says its reason once."""
        now = (status.state, status.error)
        with self._lock:
            before = self._states.get(status.name)
            if status.state is CameraState.STOPPED:
                self._states.pop(status.name, None)
            elif status.state is not CameraState.CONNECTING:
                self._states[status.name] = now
        if now != before:
            reason = f": {status.error}" if status.error and status.state in _TROUBLED else ""
            # The state is part of the fact: one that follows soon after another is no repetition.
            _log.log(
                _LEVELS[status.state],
                f"camera %s: {status.state.value}%s",
                status.name,
                reason.replace(f"{status.name}: ", ""),
                extra={"source": status.name},
            )

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        """Count a camera's frame."""
        self._metrics.latency(latency)
        self._cam(result.frame.source, result)

    def file_started(self, info: SourceInfo) -> None:
        """Note that a file was begun."""
        with self._lock:
            self._progress[info.id] = (info.duration, 0.0)

    def item_written(self, source: str, item: Item) -> None:
        """Count a file's frame."""
        if isinstance(item, FrameResult):
            self._metrics.file_frame("explained")
            self._cam(FILES, item)
            with self._lock:
                length, _ = self._progress.get(source, (None, 0.0))
                self._progress[source] = (length, item.frame.time)

    def file_ended(self, report: JobReport) -> None:
        """Log how a file's job ended."""
        with self._lock:
            self._progress.pop(report.source, None)
        failed = report.outcome is Outcome.FAILED
        reason = f": {report.error}" if report.error else ""
        _log.log(
            logging.ERROR if failed else logging.INFO,
            "%s: %s%s",
            report.source,
            report.outcome.value,
            reason.replace(f"{report.source}: ", ""),
            extra={"source": report.source},
        )

    def notice(self, line: str) -> None:
        """Log what people should know."""
        # Its own template: two different lines are two facts.
        _log.warning(line)

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Log a download when it begins and when it ends."""
        with self._lock:
            begins = name not in self._fetching
            self._fetching.add(name)
            ends = total is not None and done >= total
            if ends:
                self._fetching.discard(name)
        if begins or ends:
            _log.info("%s: %s", name, "fetched" if ends else "fetching")

    @property
    def is_fetching(self) -> bool:
        """Whether a download goes on."""
        return bool(self._fetching)

    def _cam(self, source: str, result: FrameResult) -> None:
        lifts = [detection.focus.lift for detection in result.detections]
        self._metrics.cam(source, fmean(lifts) if lifts else None, result.explanation.flicker)


_TROUBLED = (CameraState.BACKING_OFF, CameraState.FAILED, CameraState.STALLED)
