"""Shows how cameras fare: a moving table on a terminal, lines elsewhere, records for programs."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import orjson
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamcam.cli.terminal import duration, errors, printable, size
from streamcam.observer import Observer
from streamcam.sinks.records import record
from streamcam.types import CameraState, CameraStatus, FrameResult

STATE_STYLES = {
    CameraState.CONNECTING: "yellow",
    CameraState.LIVE: "green",
    CameraState.STALLED: "yellow",
    CameraState.BACKING_OFF: "red",
    CameraState.FAILED: "bold red",
    CameraState.STOPPED: "dim",
}

_TURNS = 2
"""Times a second that the table is drawn."""

_MOST_LABELS = 4

_UNASKED = "rate"
"""Why most frames are not explained: more were not asked for. They are not lost."""


class CameraLines(Observer):
    """A line for each change of a camera's state.

    Args:
        quiet: Only what is wrong.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._last_line: dict[str, str] = {}
        self._fetching: set[str] = set()

    def camera_changed(self, status: CameraStatus) -> None:
        """Print how it is now; why it was given up is told at the end."""
        if status.state is CameraState.FAILED:
            return
        wrong = status.state is CameraState.BACKING_OFF
        line = describe(status)
        # A dead camera is tried again and again: its reason is said once.
        if (wrong or not self._quiet) and line != self._last_line.get(status.name):
            self._say(line)
        if status.state is not CameraState.CONNECTING:
            self._last_line[status.name] = line

    def download_progressed(self, name: str, done: int, total: int | None) -> None:  # noqa: ARG002
        """Print that a file is fetched, once."""
        if name not in self._fetching and not self._quiet:
            self._fetching.add(name)
            self._say(f"fetching {name}" + (f", {size(total)}" if total else ""))

    def _say(self, line: str) -> None:
        errors().print(Text(line), soft_wrap=True)


class CameraRecords(CameraLines):
    """Prints every record on stdout, one JSON object a line; what is wrong goes to stderr.

    Args:
        on_gone: Called when nobody reads stdout any more.
    """

    def __init__(self, on_gone: Callable[[], None]) -> None:
        super().__init__(quiet=True)
        self._on_gone = on_gone
        self._lock = threading.Lock()

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        """Print the frame's record."""
        line = orjson.dumps(record(result), option=orjson.OPT_APPEND_NEWLINE)
        try:
            with self._lock:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            self._on_gone()


class CameraBoard(CameraLines):
    """A table of all cameras that moves; a context manager.

    Args:
        note: What stands below it.

    Attributes:
        statuses: Tells how the cameras are at this moment; set once there are some.
    """

    def __init__(self, note: str) -> None:
        super().__init__(quiet=True)
        self.statuses: Callable[[], Sequence[CameraStatus]] = lambda: ()
        self._note = note
        self._begun = time.monotonic()
        self._last: dict[str, FrameResult] = {}
        self._fetches: dict[str, str] = {}
        self._live = Live(
            get_renderable=self._draw, console=errors(), refresh_per_second=_TURNS, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        """Remember what was found last."""
        self._last[result.frame.source] = result

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Show how far a download is."""
        of = f" of {size(total)}" if total else ""
        # A new mapping: it may be drawn at this moment.
        self._fetches = self._fetches | {name: f"fetching {name}: {size(done)}{of}"}
        if total is not None and done >= total:
            self._fetches = {key: text for key, text in self._fetches.items() if key != name}

    def _draw(self) -> RenderableType:
        spent = duration(round(time.monotonic() - self._begun))
        note = Text(f"{spent}; {self._note}", "dim", overflow="ellipsis", no_wrap=True)
        return Group(self._table(), *self._fetches.values(), note)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=True)
        table.add_column("camera", no_wrap=True)
        table.add_column("state", no_wrap=True)
        for name in ("in", "explained", "latency", "dropped"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("found", ratio=1, no_wrap=True)
        for status in self.statuses():
            table.add_row(*self._cells(status))
        return table

    def _cells(self, status: CameraStatus) -> tuple[RenderableType, ...]:
        latency = status.latency
        lost = sum(n for cause, n in status.counts.dropped.items() if cause != _UNASKED)
        return (
            status.name,
            Text(status.state.value, STATE_STYLES[status.state]),
            f"{status.frame_rate:.1f}/s",
            f"{status.explained_rate:.1f}/s",
            "" if latency is None else f"{latency.p50 * 1000:.0f} ms",
            str(lost or ""),
            Text(_trouble(status), "red") if status.error else self._found(status),
        )

    def _found(self, status: CameraStatus) -> Text:
        result = self._last.get(status.name)
        if result is None:
            return Text()
        return Text(counted([{"label": found.label} for found in result.detections]), "dim")


def counted(detections: Sequence[Mapping[str, Any]]) -> str:
    """Return what was found, in the form of records, as e.g. "2 person, 1 dog"."""
    return _ranked(Counter(detection["label"] for detection in detections))


def _ranked(labels: Counter[str]) -> str:
    return ", ".join(f"{count} {label}" for label, count in labels.most_common(_MOST_LABELS))


def describe(status: CameraStatus) -> str:
    """Return how a camera is, as one line."""
    line = f"{status.name}: {status.state.value}"
    if status.state is CameraState.LIVE:
        pixels = f", {status.width}x{status.height}" if status.width else ""
        return f"{line}: {printable(status.url)}{pixels}, {status.codec}"
    if status.error is not None and status.state is not CameraState.CONNECTING:
        return f"{line}: {_trouble(status)}"
    return line


def _trouble(status: CameraStatus) -> str:
    """Return what is wrong, without the camera's name, which stands beside it already."""
    return printable((status.error or "").removeprefix(f"{status.name}: "))


def summary(status: CameraStatus, seconds: float) -> str:
    """Return what came of a camera, as one line."""
    counts = status.counts
    parts = [f"{counts.explained} of {counts.decoded} frames explained in {duration(seconds)}"]
    if status.latency is not None:
        p50, p95 = (1000 * value for value in (status.latency.p50, status.latency.p95))
        parts.append(f"latency {p50:.0f} ms, 95 % below {p95:.0f} ms")
    parts += [
        f"{count} dropped ({cause})" for cause, count in counts.dropped.items() if cause != _UNASKED
    ]
    if found := _ranked(Counter(counts.detections)):
        parts.append(f"found {found}")
    if status.reconnects:
        parts.append(
            f"reconnected {status.reconnects} times"
            if status.reconnects > 1
            else "reconnected once"
        )
    return f"{status.name}: {'; '.join(parts)}"
