"""What a worker of a distributed run tells its driver, and the cluster's metrics."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from streamcam.jobs.owner import count_oom_kills
from streamcam.observer import Observer
from streamcam.types import FrameResult, Item, JobReport, SourceInfo

_MOST_LINES = 100
"""Lines that are kept between two calls of the driver: a worker that logs without end must not
fill its memory."""


@dataclass(frozen=True, slots=True)
class WorkerEvents:
    """What has happened in a worker since it was last told.

    Attributes:
        frames: Explained frames.
        media_seconds: Seconds of the sources' own time.
        written: Frames that were written so far of each source at work, by its number.
        oom_kills: How many processes the kernel of its node has killed for memory.
        started: Sources that were opened.
        remarks: About sources: their names, and what people may want to know.
        downloads: Files with their bytes so far and in all, where known.
        lines: What else people should know.
    """

    frames: int
    media_seconds: float
    written: Mapping[int, int]
    oom_kills: int | None
    started: tuple[SourceInfo, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    downloads: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


class WorkerObserver(logging.Handler):
    """Collects what the jobs of a worker report, and what streamcam logs as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._metrics = WorkerMetrics()
        self._guard = threading.Lock()
        self._frames = 0
        self._media_seconds = 0.0
        self._written: dict[int, int] = {}
        self._started: list[SourceInfo] = []
        self._remarks: list[tuple[str, str]] = []
        self._downloads: dict[str, tuple[int, int | None]] = {}
        self._lines: list[str] = []

    def of(self, number: int) -> Observer:
        """Return the observer of a source's job."""
        return _SourceObserver(self, number)

    def emit(self, record: logging.LogRecord) -> None:
        with self._guard:
            if len(self._lines) < _MOST_LINES:
                self._lines.append(record.getMessage())

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        with self._guard:
            self._downloads[name] = (done, total)

    def opened(self, info: SourceInfo) -> None:
        with self._guard:
            # What opens it again works in this process only.
            self._started.append(replace(info, reopen=None))

    def remarked(self, source: str, remark: str) -> None:
        with self._guard:
            if len(self._remarks) < _MOST_LINES:
                self._remarks.append((source, remark))

    def wrote(self, number: int, seconds: float, *, explained: bool) -> None:
        """Count a written frame, `seconds` after the one before on the source's clock."""
        with self._guard:
            self._written[number] = self._written.get(number, 0) + 1
            self._frames += explained
            self._media_seconds += seconds
        self._metrics.wrote(seconds, explained=explained)

    def forget(self, number: int) -> None:
        """Drop what is known of a source at work."""
        with self._guard:
            self._written.pop(number, None)

    def ended(self, report: JobReport) -> None:
        self._metrics.ended(report)

    def take_events(self) -> WorkerEvents:
        """Return what has happened since the last call."""
        with self._guard:
            events = WorkerEvents(
                self._frames,
                self._media_seconds,
                dict(self._written),
                count_oom_kills(),
                tuple(self._started),
                tuple(self._remarks),
                dict(self._downloads),
                tuple(self._lines),
            )
            self._frames, self._media_seconds = 0, 0.0
            for taken in (self._started, self._remarks, self._downloads, self._lines):
                taken.clear()
        return events


class _SourceObserver(Observer):
    def __init__(self, observer: WorkerObserver, number: int) -> None:
        self._observer = observer
        self._number = number
        self._reached: float | None = None

    def file_started(self, info: SourceInfo) -> None:
        self._observer.opened(info)

    def file_remarked(self, source: str, remark: str) -> None:
        self._observer.remarked(source, remark)

    def item_written(self, source: str, item: Item) -> None:  # noqa: ARG002
        explained = isinstance(item, FrameResult)
        time = item.frame.time if isinstance(item, FrameResult) else item.time
        passed = 0.0 if self._reached is None else max(0.0, time - self._reached)
        self._reached = time
        self._observer.wrote(self._number, passed, explained=explained)

    def file_ended(self, report: JobReport) -> None:
        self._observer.ended(report)


class WorkerMetrics:
    """The worker's figures among Ray's own, which its nodes give to Prometheus.

    They are `ray_streamcam_sources_total`, by outcome, `ray_streamcam_frames_total` and
    `ray_streamcam_media_seconds_total`; nodes export them where `ray[default]` is installed.
    """

    def __init__(self) -> None:
        from ray.util.metrics import Counter

        self._sources = Counter(
            "streamcam_sources_total", "Sources whose work has ended.", tag_keys=("outcome",)
        )
        self._frames = Counter("streamcam_frames_total", "Explained frames.")
        self._media = Counter("streamcam_media_seconds_total", "Seconds of the sources' own time.")

    def wrote(self, seconds: float, *, explained: bool) -> None:
        if explained:
            self._frames.inc()
        if seconds > 0:
            self._media.inc(seconds)

    def ended(self, report: JobReport) -> None:
        self._sources.inc(tags={"outcome": report.outcome.value})
