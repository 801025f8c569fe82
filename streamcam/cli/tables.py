"""Live tables on a terminal: files that are explained, cameras."""

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

from streamcam.cli.progress import LineReporter
from streamcam.cli.report import (
    OUTCOME_STYLES,
    STATE_STYLES,
    camera_error,
    ending,
    labels_text,
    lost_frames,
)
from streamcam.cli.terminal import duration, errors, printable, size, table
from streamcam.observer import Observer
from streamcam.types import CameraStatus, FrameResult, Item, JobReport, SourceInfo

_REFRESH_PER_SECOND = 2
"""One drawing takes 3 ms, so that a table costs under 1 % of a core."""

_ENDED_ROWS = 8
"""Ended jobs that are shown: they and the usual few running ones fit into 24 lines."""

_NAME_WIDTH = 40


@contextmanager
def file_reporter(count: int | None, *, quiet: bool, lines: bool = False) -> Iterator[Observer]:
    """Give the observer of files that suits where stderr goes.

    Args:
        count: Number of sources, None where more may come.
        quiet: Print errors only.
        lines: Plain lines even on a terminal.
    """
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
    """Files at work; ended ones become lines, or the table's last rows where more may come.

    Args:
        count: Number of sources, None where more may come.
    """

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
            clock = Text(time.strftime("%H:%M:%S", time.localtime(moment)), "dim")
            style = OUTCOME_STYLES[report.outcome]
            rows.add_row(clock, _shortened(report.source), Text(ending(report), style))
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
            return Text(f"watching; {counts or 'no files yet'}", "dim")
        return Text(f"{self._ended} of {self._count} sources ended", "dim")


class CameraTable(LiveTable):
    """Cameras with their states and rates.

    Args:
        note: Printed below the table.

    Attributes:
        statuses: Returns the cameras' present states; to be set once there are cameras.
    """

    def __init__(self, note: str) -> None:
        super().__init__()
        self.statuses: Callable[[], Sequence[CameraStatus]] = lambda: ()
        self._purpose = note
        self._began = time.monotonic()
        self._latest: dict[str, FrameResult] = {}

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        self._latest[result.frame.source] = result

    def _note(self) -> Text:
        spent = duration(round(time.monotonic() - self._began))
        return Text(f"{spent}; {self._purpose}", "dim", overflow="ellipsis", no_wrap=True)

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
            Text(status.state.value, STATE_STYLES[status.state]),
            f"{status.frame_rate:.1f}/s",
            f"{status.explained_rate:.1f}/s",
            "" if latency is None else f"{latency.p50 * 1000:.0f} ms",
            str(sum(lost_frames(status).values()) or ""),
            Text(camera_error(status), "red") if status.error else self._detected(status),
        )

    def _detected(self, status: CameraStatus) -> Text:
        result = self._latest.get(status.name)
        if result is None:
            return Text()
        return Text(labels_text(Counter(found.label for found in result.detections)), "dim")


def _shortened(source: str) -> Text:
    """Return the end of a path that is too long."""
    text = printable(source)
    return Text(text if len(text) <= _NAME_WIDTH else f"...{text[3 - _NAME_WIDTH :]}")
