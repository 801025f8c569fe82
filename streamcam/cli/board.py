"""The watcher's live table: what runs, how far it is, and what ended last."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamcam.cli.progress import ending
from streamcam.cli.report import STYLES
from streamcam.cli.terminal import duration, errors, printable, size
from streamcam.observer import Observer
from streamcam.types import FrameResult, Item, JobReport, Outcome, SourceInfo

_LAST = 8
"""Ended jobs that are shown: they and a screen's usual few running ones fit into 24 lines."""

_TURNS = 2
"""Times a second that it is drawn: a drawing takes 3 ms, so watching costs under 1 % of a core."""


@dataclass(slots=True)
class _Running:
    info: SourceInfo
    since: float = field(default_factory=time.monotonic)
    frames: int = 0
    reached: float = 0.0

    @property
    def speed(self) -> float:
        """Media seconds a second."""
        return self.reached / max(time.monotonic() - self.since, 1e-9)


class Board(Observer):
    """Shows a watcher's jobs on a terminal; a context manager."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}
        self._last: deque[tuple[JobReport, float]] = deque(maxlen=_LAST)
        self._counts: Counter[str] = Counter()
        self._fetches: dict[str, str] = {}
        self._lock = threading.Lock()
        self._live = Live(
            get_renderable=self._draw, console=errors(), refresh_per_second=_TURNS, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def notice(self, line: str) -> None:
        """Print a line above the table, where it stays."""
        errors().print(line, soft_wrap=True, markup=False)

    def file_started(self, info: SourceInfo) -> None:
        """Add a row."""
        with self._lock:
            self._running[info.id] = _Running(info)

    def item_written(self, source: str, item: Item) -> None:
        """Move the source's row."""
        if isinstance(item, FrameResult):
            running = self._running[source]
            running.frames += 1
            running.reached = item.frame.time

    def file_ended(self, report: JobReport) -> None:
        """Turn the row into one of the last; what failed stays on the screen."""
        with self._lock:
            self._running.pop(report.source, None)
            self._last.append((report, time.time()))
            self._counts[report.outcome.value] += 1
        if report.outcome is Outcome.FAILED:
            self.notice(f"{printable(report.source)}: {ending(report)}")

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Show how far a download is."""
        of = f" of {size(total)}" if total else ""
        with self._lock:
            self._fetches[name] = f"fetching {name}: {size(done)}{of}"
            if total is not None and done >= total:
                del self._fetches[name]

    def _draw(self) -> RenderableType:
        with self._lock:
            counts = ", ".join(f"{number} {name}" for name, number in self._counts.items())
            summary = Text(f"watching; {counts or 'nothing came yet'}", "dim")
            return Group(*self._tables(), *self._fetches.values(), summary)

    def _tables(self) -> list[RenderableType]:
        tables: list[RenderableType] = []
        if self._last:
            tables.append(self._ended_table())
        if self._running:
            tables.append(self._running_table())
        return tables

    def _running_table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=True)
        table.add_column("running", no_wrap=True, ratio=1)
        table.add_column("", width=20)
        for name in ("frames", "a second", "speed", "left"):
            table.add_column(name, justify="right")
        for running in self._running.values():
            table.add_row(*_cells(running))
        return table

    def _ended_table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, expand=True)
        table.add_column(style="dim")
        table.add_column(no_wrap=True, ratio=1)
        table.add_column(no_wrap=True, ratio=1)
        for report, moment in self._last:
            clock = time.strftime("%H:%M:%S", time.localtime(moment))
            style = STYLES[report.outcome]
            table.add_row(clock, _name(report.source), Text(ending(report), style))
        return table


def _cells(running: _Running) -> tuple[RenderableType, ...]:
    length = running.info.duration
    seconds = max(time.monotonic() - running.since, 1e-9)
    left = (length - running.reached) / running.speed if length and running.reached else None
    return (
        _name(running.info.id),
        ProgressBar(total=length, completed=running.reached, pulse=length is None),
        str(running.frames),
        f"{running.frames / seconds:.1f}",
        f"{running.speed:.1f}x",
        "" if left is None else duration(max(0.0, left)),
    )


def _name(source: str) -> Text:
    """Return a path whose end is seen, where there is no room for all of it."""
    text = printable(source)
    return Text(text if len(text) <= 40 else f"...{text[-37:]}")
