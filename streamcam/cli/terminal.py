"""Where text for people goes: results to stdout, everything else to stderr."""

import functools
import os
import re

from rich.console import Console
from rich.text import Text

# Files and pagers have no width of their own; rich would fold tables at 80 columns.
_PIPED_WIDTH = 120


@functools.cache
def output() -> Console:
    """Return the console on stdout, for results."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


@functools.cache
def errors() -> Console:
    """Return the console on stderr, for progress, warnings and errors."""
    return Console(stderr=True, highlight=False)


def show_error(message: str, hint: str | None = None) -> None:
    """Print an error for a person: what is wrong, and below it what to do."""
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
