"""Progress of files and cameras: lines, JSON, tables on a terminal."""

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamcam.cli.summaries import (
    OUTCOME_STYLES,
    STATE_STYLES,
    as_json,
    camera_error,
    camera_line,
    ending,
    labels_text,
    lost_frames,
)
from streamcam.cli.terminal import duration, errors, size, styled, table
from streamcam.escapes import printable, printable_json
from streamcam.events.event import Event, EventChange, EventStage
from streamcam.observer import Observer
from streamcam.sinks.records import record
from streamcam.types import (
    CameraState,
    CameraStatus,
    FrameResult,
    Item,
    JobReport,
    Outcome,
    SourceInfo,
)

_REFRESH_PER_SECOND = 2
"""One drawing takes 3 ms, so that a table costs under 1 % of a core."""

_ENDED_ROWS = 8
"""Ended jobs that are shown: they and the usual few running ones fit into 24 lines."""

_NAME_WIDTH = 40


class LineReporter(Observer):
    """Prints a line for each event that people want to know, on stderr.

    Args:
        count: Number of sources, None where more may come.
        quiet: Print errors only.
    """

    def __init__(self, count: int | None = None, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._count = count
        self._ended = 0
        self._fetching: set[str] = set()
        self._last_line: dict[str, str] = {}
        self._lock = threading.Lock()

    def file_started(self, info: SourceInfo) -> None:
        if not self._quiet:
            length = f", {duration(info.duration)}" if info.duration else ""
            self.notice(f"{info.id}: {info.width}x{info.height}{length}")

    def file_remarked(self, source: str, remark: str) -> None:
        if not self._quiet:
            self.notice(f"{printable(source)}: {printable(remark)}")

    def file_ended(self, report: JobReport) -> None:
        with self._lock:
            self._ended += 1
            place = f"[{self._ended}/{self._count}] " if self._count is not None else ""
        if not self._quiet or report.outcome is Outcome.FAILED:
            self.notice(f"{place}{report.source}: {ending(report)}")
            if report.hint:
                self.notice(f"  {report.hint}")

    def camera_changed(self, status: CameraStatus) -> None:
        """Print the state; the error of a camera that is given up is printed at the end."""
        if status.state is CameraState.FAILED:
            return
        wrong = status.state is CameraState.BACKING_OFF
        line = camera_line(status)
        # A lost camera is retried for ever: the same error is printed once.
        if (wrong or not self._quiet) and line != self._last_line.get(status.name):
            self.notice(line)
        if status.state is not CameraState.CONNECTING:
            self._last_line[status.name] = line

    def event_changed(self, change: EventChange) -> None:
        if change.stage is EventStage.END and not self._quiet:
            self.notice(event_line(change.event))

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        if self._quiet:
            return
        if name not in self._fetching:
            self._fetching.add(name)
            self.notice(f"fetching {name}" + (f", {size(total)}" if total else ""))
        if total is not None and done >= total:
            self.notice(f"fetched {name}")

    def notice(self, line: str) -> None:
        errors().print(line, soft_wrap=True)


def event_line(event: Event) -> str:
    """Return e.g. "yard: person for 12.4 s in door, lift 1.8 (off-object)"."""
    seconds = 0.0 if event.end is None else event.end.time - event.begin.time
    zones = f" in {', '.join(event.zones)}" if event.zones else ""
    doubts = f" ({', '.join(event.suspicions)})" if event.suspicions else ""
    lift = f"lift {event.focus.lift_mean:.1f}"
    return f"{event.source}: {event.label} for {duration(seconds)}{zones}, {lift}{doubts}"


class JsonReporter(LineReporter):
    """Prints a JSON object a line on stdout: reports of files, records of cameras.

    Args:
        on_closed: Called when the reader of stdout has gone; None: `BrokenPipeError` is raised.
    """

    def __init__(self, on_closed: Callable[[], None] | None = None) -> None:
        super().__init__(quiet=True)
        self._on_closed = on_closed

    def file_ended(self, report: JobReport) -> None:
        self._print(as_json(report))

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        self._print(record(result))

    def _print(self, value: object) -> None:
        line = printable_json(value)
        try:
            with self._lock:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            if self._on_closed is None:
                raise
            self._on_closed()


@contextmanager
def file_reporter(count: int | None, *, quiet: bool, lines: bool = False) -> Iterator[Observer]:
    """Give the observer of files that suits where stderr goes; `lines`: never a table."""
    if quiet or lines or not errors().is_terminal:
        yield LineReporter(None if quiet else count, quiet=quiet)
    else:
        with FileTable(count) as files:
            yield files


class LiveTable(LineReporter):
    """A table that is drawn again and again while events come; a context manager."""

    def __init__(self, count: int | None = None) -> None:
        super().__init__(count, quiet=True)
        self._downloads: dict[str, str] = {}
        self._live = Live(
            self, console=errors(), refresh_per_second=_REFRESH_PER_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        of = f" of {size(total)}" if total else ""
        with self._lock:
            self._downloads[name] = f"fetching {name}: {size(done)}{of}"
            if total is not None and done >= total:
                del self._downloads[name]

    def __rich__(self) -> RenderableType:
        tables = self._tables()
        with self._lock:
            return Group(*tables, *self._downloads.values(), self._note())

    def _tables(self) -> list[Table]:
        raise NotImplementedError

    def _note(self) -> Text:
        raise NotImplementedError


@dataclass(slots=True)
class _RunningFile:
    info: SourceInfo
    since: float = field(default_factory=time.monotonic)
    frames: int = 0
    reached: float = 0.0

    def cells(self) -> tuple[RenderableType, ...]:
        length = self.info.duration
        seconds = max(time.monotonic() - self.since, 1e-9)
        speed = self.reached / seconds
        left = (length - self.reached) / speed if length and self.reached else None
        return (
            _shortened(self.info.id),
            ProgressBar(total=length, completed=self.reached, pulse=length is None),
            str(self.frames or "starting"),
            f"{self.frames / seconds:.1f}",
            f"{speed:.1f}x",
            "" if left is None else duration(max(0.0, left)),
        )


class FileTable(LiveTable):
    """Files at work; ended ones become lines, or the table's last rows where more may come."""

    def __init__(self, count: int | None = None) -> None:
        super().__init__(count)
        self._running: dict[str, _RunningFile] = {}
        self._last: deque[tuple[JobReport, float]] = deque(maxlen=_ENDED_ROWS)
        self._counts: Counter[str] = Counter()
        self._quiet = count is None

    def file_started(self, info: SourceInfo) -> None:
        with self._lock:
            self._running[info.id] = _RunningFile(info)

    def item_written(self, source: str, item: Item) -> None:
        if isinstance(item, FrameResult):
            running = self._running[source]
            running.frames += 1
            running.reached = item.frame.time

    def file_ended(self, report: JobReport) -> None:
        with self._lock:
            self._running.pop(report.source, None)
            self._counts[report.outcome.value] += 1
            if self._count is None:
                self._last.append((report, time.time()))
        super().file_ended(report)

    def _tables(self) -> list[Table]:
        with self._lock:
            tables = [self._ended_table()] if self._last else []
            return [*tables, self._running_table()] if self._running else tables

    def _ended_table(self) -> Table:
        wide = ("file", "result")
        rows = table("ended", *wide, wide=wide, expand=True, show_header=False)
        for report, moment in self._last:
            clock = styled(time.strftime("%H:%M:%S", time.localtime(moment)), "dim")
            style = OUTCOME_STYLES[report.outcome]
            rows.add_row(clock, _shortened(report.source), styled(ending(report), style))
        return rows

    def _running_table(self) -> Table:
        numbers = ("frames", "per second", "speed", "left")
        rows = table("running", "", *numbers, right=numbers, wide=("running",), expand=True)
        rows.columns[1].width = 20
        for running in self._running.values():
            rows.add_row(*running.cells())
        return rows

    def _note(self) -> Text:
        counts = ", ".join(f"{number} {name}" for name, number in self._counts.items())
        if self._count is None:
            return styled(f"watching; {counts or 'no files yet'}", "dim")
        return styled(f"{self._ended} of {self._count} sources ended", "dim")


class CameraTable(LiveTable):
    """Cameras with their states and rates; `purpose` is printed below.

    Attributes:
        statuses: Returns the cameras' present states; to be set once there are cameras.
    """

    def __init__(self, purpose: str) -> None:
        super().__init__()
        self.statuses: Callable[[], Sequence[CameraStatus]] = lambda: ()
        self._purpose = purpose
        self._began = time.monotonic()
        self._latest: dict[str, FrameResult] = {}

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        self._latest[result.frame.source] = result

    def _note(self) -> Text:
        spent = duration(round(time.monotonic() - self._began))
        return styled(f"{spent}; {self._purpose}", "dim", overflow="ellipsis", no_wrap=True)

    def _tables(self) -> list[Table]:
        numbers = ("in", "explained", "latency", "dropped")
        keep = ("camera", "state", *numbers)
        rows = table(*keep, "found", right=numbers, keep=keep, wide=("found",), expand=True)
        for status in self.statuses():
            rows.add_row(*self._cells(status))
        return [rows]

    def _cells(self, status: CameraStatus) -> tuple[RenderableType, ...]:
        latency = status.latency
        return (
            status.name,
            styled(status.state.value, STATE_STYLES[status.state]),
            f"{status.frame_rate:.1f}/s",
            f"{status.explained_rate:.1f}/s",
            "" if latency is None else f"{latency.p50 * 1000:.0f} ms",
            str(sum(lost_frames(status).values()) or ""),
            styled(camera_error(status), "red") if status.error else self._detected(status.name),
        )

    def _detected(self, camera: str) -> Text:
        found = self._latest[camera].detections if camera in self._latest else ()
        labels = labels_text(Counter(detection.label for detection in found))
        return styled(labels, "dim")


def _shortened(source: str) -> str:
    """Return the end of a path that is too long."""
    text = printable(source)
    return text if len(text) <= _NAME_WIDTH else f"...{text[3 - _NAME_WIDTH :]}"
