"""The terminal: results go to stdout, everything else to stderr; Ctrl-C and SIGTERM."""

import functools
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

FORCED = 130
"""The exit code of a process that SIGINT ended, as shells report it."""

# Files and pagers have no width of their own; rich would fold tables at 80 columns.
_PIPED_WIDTH = 120


@functools.cache
def output() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


@functools.cache
def errors() -> Console:
    return Console(stderr=True, highlight=False)


def show_error(message: str, hint: str | None = None) -> None:
    errors().print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    if hint:
        errors().print(Text(f"  {hint}"), soft_wrap=True)


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


def printable(text: str) -> str:
    """Return a file name without characters that would move the cursor."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "�", text)


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
    option = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if indent else 0)
    sys.stdout.buffer.write(orjson.dumps(value, option=option))
