"""Shows how the work goes: moving bars on a terminal, plain lines elsewhere."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from streamcam.cli.report import found, reason
from streamcam.cli.terminal import duration, errors, printable, size
from streamcam.observer import Observer
from streamcam.types import FrameResult, Item, JobReport, Outcome, SourceInfo


@contextmanager
def make_observer(count: int, *, quiet: bool, lines: bool = False) -> Iterator[Observer]:
    """Give the observer that suits where stderr goes.

    Args:
        count: Number of sources.
        quiet: Show faults only.
        lines: Plain lines even on a terminal.
    """
    if quiet:
        yield Faults()
    elif lines or not errors().is_terminal:
        yield Lines(count)
    else:
        with Bars(count) as bars:
            yield bars


class Faults(Observer):
    """Prints what failed and what people must know; nothing else."""

    def file_ended(self, report: JobReport) -> None:
        """Print what failed."""
        if report.outcome is Outcome.FAILED:
            Lines().file_ended(report)

    def notice(self, line: str) -> None:
        """Print it."""
        Lines().notice(line)


class Lines(Observer):
    """One line when a source begins and one when it ends; for pipes and logs.

    Args:
        count: Number of sources, None where more may come.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count
        self._ended = 0
        self._fetching: set[str] = set()
        self._lock = threading.Lock()

    def file_started(self, info: SourceInfo) -> None:
        """Print what is being explained."""
        length = f", {duration(info.duration)}" if info.duration else ""
        self.notice(f"{printable(info.id)}: {info.width}x{info.height}{length}")

    def file_ended(self, report: JobReport) -> None:
        """Print how it ended."""
        with self._lock:
            self._ended += 1
            place = f"[{self._ended}/{self._count}] " if self._count is not None else ""
        hint = f"\n  {report.hint}" if report.hint else ""
        self.notice(f"{place}{printable(report.source)}: {ending(report)}{hint}")

    def notice(self, line: str) -> None:
        """Print a line."""
        errors().print(line, soft_wrap=True, markup=False)

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Print that a file is fetched, once."""
        if name not in self._fetching:
            self._fetching.add(name)
            self.notice(f"fetching {name}" + (f", {size(total)}" if total else ""))
        if total is not None and done >= total:
            self.notice(f"fetched {name}")


def ending(report: JobReport) -> str:
    """Return how a job ended, as one line."""
    if report.error is not None:
        return f"{report.outcome.value}: {printable(reason(report))}"
    if not report.counts.explained:
        return report.outcome.value
    rate = report.counts.explained / max(report.seconds, 1e-9)
    time = f"{duration(report.seconds)} ({rate:.1f} frames a second)"
    return f"{report.outcome.value} in {time}: {found(report)}"


class _Speed(ProgressColumn):
    """Media seconds per second, as ffmpeg tells its speed."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}x" if task.fields.get("media") and task.speed else "")


class Bars(Observer):
    """A bar for each source at work and one for all; finished sources scroll by as lines."""

    def __init__(self, count: int) -> None:
        self._lines = Lines(count)
        self._tasks: dict[str, TaskID] = {}
        self._explained: Counter[str] = Counter()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}"),
            _Speed(),
            TimeRemainingColumn(),
            console=errors(),
            transient=True,
        )
        self._overall = self._progress.add_task(
            "all", total=count, state=f"{count} sources", visible=count > 1
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def file_started(self, info: SourceInfo) -> None:
        """Add a bar."""
        self._tasks[info.id] = self._progress.add_task(
            printable(info.id), total=info.duration, state="loading the model", media=True
        )

    def item_written(self, source: str, item: Item) -> None:
        """Move the source's bar."""
        if isinstance(item, FrameResult):
            self._explained[source] += 1
            state = f"{self._explained[source]} frames"
            self._progress.update(self._tasks[source], completed=item.frame.time, state=state)

    def file_ended(self, report: JobReport) -> None:
        """Turn the bar into a line."""
        if report.source in self._tasks:
            self._progress.remove_task(self._tasks.pop(report.source))
        self._progress.advance(self._overall)
        self._lines.file_ended(report)

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Move the download's bar."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(f"fetching {name}", state="")
        self._progress.update(self._tasks[name], completed=done, total=total, state=size(done))
        if total is not None and done >= total:
            self._progress.remove_task(self._tasks.pop(name))
