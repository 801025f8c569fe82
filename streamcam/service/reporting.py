"""The service's observer: logs what happens to cameras and files, and counts it for the metrics."""

import logging
import threading
from statistics import fmean

from streamcam.events.event import EventChange, EventStage
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
    CameraState.PAUSED: logging.INFO,
    CameraState.STOPPED: logging.INFO,
}
_WITH_REASON = (CameraState.BACKING_OFF, CameraState.FAILED, CameraState.STALLED)


class ServiceObserver(Observer):
    """Logs and counts; from any thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._states: dict[str, tuple[CameraState, str | None]] = {}
        self._downloads: set[str] = set()
        self._progress: dict[str, tuple[float | None, float]] = {}

    def progress(self, source: str) -> float | None:
        """Return how much of a running file is done, 0..1; None where that is unknown."""
        with self._lock:
            duration, time = self._progress.get(source, (None, 0.0))
        return min(1.0, time / duration) if duration else None

    @property
    def is_downloading(self) -> bool:
        return bool(self._downloads)

    def camera_changed(self, status: CameraStatus) -> None:
        """Log a camera's state; one that fails again for the same reason is logged once."""
        state = (status.state, status.error)
        with self._lock:
            before = self._states.get(status.name)
            if status.state is CameraState.STOPPED:
                self._states.pop(status.name, None)
            elif status.state is not CameraState.CONNECTING:
                self._states[status.name] = state
        if state != before:
            reason = f": {status.error}" if status.error and status.state in _WITH_REASON else ""
            # The state is in the template, so that another state is not a repetition to the log.
            _log.log(
                _LEVELS[status.state],
                f"camera %s: {status.state.value}%s",
                status.name,
                reason.replace(f"{status.name}: ", ""),
                extra={"source": status.name},
            )

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        self._metrics.latency(latency)
        self._count_map(result.frame.source, result)

    def event_changed(self, change: EventChange) -> None:
        event = change.event
        source = FILES if event.begin.utc is None else event.source
        if change.stage is EventStage.NEW:
            self._metrics.event(source, event.label)
        elif change.stage is EventStage.END and event.suspicions:
            self._metrics.suspect(source)

    def stage_measured(self, stage: str, seconds: float) -> None:
        self._metrics.stage(stage, seconds)

    def file_started(self, info: SourceInfo) -> None:
        with self._lock:
            self._progress[info.id] = (info.duration, 0.0)

    def file_remarked(self, source: str, remark: str) -> None:
        _log.info("%s: %s", source, remark, extra={"source": source})

    def item_written(self, source: str, item: Item) -> None:
        if isinstance(item, FrameResult):
            self._metrics.file_frame("explained")
            self._count_map(FILES, item)
            with self._lock:
                duration, _ = self._progress.get(source, (None, 0.0))
                self._progress[source] = (duration, item.frame.time)

    def file_ended(self, report: JobReport) -> None:
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

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Log the begin and the end of a download."""
        with self._lock:
            begins = name not in self._downloads
            self._downloads.add(name)
            ends = total is not None and done >= total
            if ends:
                self._downloads.discard(name)
        if begins or ends:
            _log.info("%s: %s", name, "fetched" if ends else "fetching")

    def notice(self, line: str) -> None:
        # A template of its own, so that another line is not a repetition to the log.
        _log.warning(line)

    def _count_map(self, source: str, result: FrameResult) -> None:
        lifts = [detection.focus.lift for detection in result.detections]
        self._metrics.cam(source, fmean(lifts) if lifts else None, result.explanation.flicker)
