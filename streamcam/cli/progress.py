"""Progress as lines, as JSON and, of measurements, as a bar."""

import sys
import threading
from collections.abc import Callable
from typing import Self

import orjson
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamcam.cli.report import as_json, camera_line, ending
from streamcam.cli.terminal import duration, errors, printable, size
from streamcam.observer import Observer
from streamcam.sinks.records import record
from streamcam.types import (
    CameraState,
    CameraStatus,
    FrameResult,
    JobReport,
    Outcome,
    SourceInfo,
)

_LINES = 10
"""Progress lines of a measurement without a terminal."""


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
            self.notice(f"{printable(info.id)}: {info.width}x{info.height}{length}")

    def file_ended(self, report: JobReport) -> None:
        with self._lock:
            self._ended += 1
            place = f"[{self._ended}/{self._count}] " if self._count is not None else ""
        if not self._quiet or report.outcome is Outcome.FAILED:
            hint = f"\n  {report.hint}" if report.hint else ""
            self.notice(f"{place}{printable(report.source)}: {ending(report)}{hint}")

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

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Print the begin and the end of a download."""
        if self._quiet:
            return
        if name not in self._fetching:
            self._fetching.add(name)
            self.notice(f"fetching {name}" + (f", {size(total)}" if total else ""))
        if total is not None and done >= total:
            self.notice(f"fetched {name}")

    def notice(self, line: str) -> None:
        errors().print(Text(line), soft_wrap=True)


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
        line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
        try:
            with self._lock:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            if self._on_closed is None:
                raise
            self._on_closed()


class StepReporter:
    """Shows the steps of a measurement: a bar on a terminal, lines elsewhere; a context manager.

    Args:
        quiet: Show nothing.
        lines: Lines even on a terminal.
    """

    def __init__(self, *, quiet: bool, lines: bool = False) -> None:
        has_bar = errors().is_terminal and not lines and not quiet
        self._lines = None if has_bar or quiet else LineReporter()
        self._bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()),
            TimeRemainingColumn(),
            console=errors(),
            transient=True,
            disable=not has_bar,
        )
        self._task = self._bar.add_task("loading the model", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def step(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done, and the one that begins."""
        self._bar.update(self._task, description=name, completed=done, total=total)
        if self._lines and done * _LINES // total > (done - 1) * _LINES // total:
            self._lines.notice(f"{done * 100 // total} %: {name}")

    def fetch(self, name: str, done: int, total: int | None) -> None:
        """Show a download, see `Observer.download_progressed`."""
        text = f"fetching {name} {size(done)}"
        self._bar.update(self._task, description=text, completed=done, total=total)
        if self._lines:
            self._lines.download_progressed(name, done, total)
