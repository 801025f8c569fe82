"""The terminal: results go to stdout, everything else to stderr; Ctrl-C and SIGTERM."""

import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from streamcam.escapes import printable, printable_json

FORCED = 130
"""The exit code of a process that SIGINT ended, as shells report it."""

# Files and pagers have no width of their own; rich would fold tables at 80 columns.
_PIPED_WIDTH = 120


class Terminal(Console):
    """A console that shows text as it is: no markup in it, nor control characters, takes effect."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as rich takes them
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Escape what `Text` and tables hold too; only their own line breaks stay."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = map(printable, segment.text.split("\n"))
                yield Segment("\n".join(lines), segment.style)


@functools.cache
def output() -> Console:
    console = Terminal()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


@functools.cache
def errors() -> Console:
    return Terminal(stderr=True)


def styled(text: str, style: str = "", **options: Any) -> Text:  # noqa: ANN401
    """Return a text of any origin in a style of rich; options as its `Text` takes them."""
    return Text(printable(text), style, **options)


def show_error(message: str, hint: str | None = None, details: Sequence[str] = ()) -> None:
    text = Text.assemble(("error: ", "bold red"), printable(message))
    errors().print(text, soft_wrap=True)
    for line in (*details, hint):
        if line:
            errors().print(f"  {line}", soft_wrap=True)


def duration(seconds: float) -> str:
    """Return e.g. "3.2 s", "2:05" or "1:02:03"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Return a number of bytes as e.g. "14.5 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextmanager
def stopped_by_signals(stop: Callable[[], None], message: str | None) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; raise KeyboardInterrupt on a second one.

    Args:
        stop: Must only set a flag.
        message: Printed when stopping begins; None: nothing is printed.
    """
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if message is not None:
            errors().print(f"stopping: {message} (Ctrl-C again to force)", soft_wrap=True)
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def forcible(unfinished: str) -> Iterator[None]:
    """End the process at KeyboardInterrupt, also where a thread hangs in native code.

    The message says what becomes of `unfinished` results.
    """
    try:
        yield
    except KeyboardInterrupt:
        show_error(f"forced to stop; {unfinished}")
        leave(FORCED)


def leave(code: int) -> NoReturn:
    """Flush the log and exit without waiting for threads."""
    logging.shutdown()
    os._exit(code)


def table(
    *columns: str,
    right: Collection[str] = (),
    fold: Collection[str] = (),
    keep: Collection[str] = (),
    wide: Collection[str] = (),
    expand: bool = False,
    show_header: bool = True,
) -> Table:
    """Return an empty table in the style of all commands.

    Columns in `right` are aligned to the right, text in `fold` is folded anywhere where it is too
    long, `keep` and `wide` stay on one line, and the latter share the width that is left.
    """
    made = Table(
        box=None, padding=(0, 2, 0, 0), header_style="bold", expand=expand, show_header=show_header
    )
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold" if name in fold else "ellipsis",
            no_wrap=name in keep or name in wide,
            ratio=1 if name in wide else None,
        )
    return made


def print_json(value: object, *, indent: bool = False) -> None:
    sys.stdout.buffer.write(printable_json(value, indent=indent))


class JsonList:
    """Prints a JSON list on stdout, each element as it comes; nothing before the first."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, value: object) -> None:
        sys.stdout.buffer.write((b"," if self._begun else b"[") + printable_json(value).rstrip())
        self._begun = True

    def end(self) -> None:
        sys.stdout.buffer.write(b"]\n" if self._begun else b"[]\n")
