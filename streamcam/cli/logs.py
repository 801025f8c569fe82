"""What the log says, and how: for people on a terminal, for the journal, for collectors.

One line is one fact. No line carries a credential, and a fact that repeats itself is counted
instead of filling the disk.
"""

import logging
import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TextIO

from rich.console import Console
from rich.logging import RichHandler

from streamcam.cli.lines import JsonLines, Lines, Redact, TextLines
from streamcam.cli.repeats import Repeats
from streamcam.cli.terminal import errors
from streamcam.urls import redacted_url


class LogFormat(StrEnum):
    """How a service writes its log."""

    TEXT = "text"
    JSON = "json"


def speak_to_people(level: int) -> None:
    """Write streamcam's own lines for whoever waits for a command; the last call holds.

    Args:
        level: Least level of the lines. With DEBUG there are tracebacks.
    """
    handler = RichHandler(console=errors(), show_time=False, show_path=False)
    handler.setFormatter(Lines(redacted_url, debug=level <= logging.DEBUG))
    own = logging.getLogger("streamcam")
    own.setLevel(level)
    own.handlers = [handler]
    own.propagate = False


def configure_logging(
    level: int,
    format: LogFormat = LogFormat.TEXT,  # noqa: A002 - the option's own name
    redact: Redact = redacted_url,
    stream: TextIO | None = None,
) -> Repeats:
    """Write the log of a service, with what its libraries warn of; the last call holds.

    Args:
        level: Least level of streamcam's own lines. With DEBUG there are tracebacks.
        format: On a terminal, text is for people.
        redact: Takes the secrets out of a text, e.g. the `Redactor` of the configured URLs.
        stream: Where to; stderr unless given.

    Returns:
        What holds repetitions back: its `turn` wants to be called now and then. `logging` flushes
        it at the end; who leaves by `os._exit` calls `logging.shutdown` first.
    """
    handler = Repeats(_writer(format, redact, stream or sys.stderr, debug=level <= logging.DEBUG))
    own, everything = logging.getLogger("streamcam"), logging.getLogger()
    own.setLevel(level)
    own.handlers = []
    own.propagate = True
    for earlier in [found for found in everything.handlers if isinstance(found, Repeats)]:
        everything.removeHandler(earlier)
        earlier.close()
    everything.addHandler(handler)
    logging.captureWarnings(True)
    return handler


def goes_to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether systemd's journal reads what is written, see systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _writer(
    log_format: LogFormat, redact: Redact, stream: TextIO, *, debug: bool
) -> logging.Handler:
    if log_format is LogFormat.TEXT and stream.isatty():
        console = Console(file=stream, highlight=False)
        people = RichHandler(
            console=console,
            show_path=False,
            omit_repeated_times=False,
            log_time_format="%Y-%m-%d %H:%M:%S",
        )
        people.setFormatter(Lines(redact, debug=debug))
        return people
    kind = JsonLines if log_format is LogFormat.JSON else TextLines
    writer = logging.StreamHandler(stream)
    writer.setFormatter(kind(redact, debug=debug, journal=goes_to_journal(stream, os.environ)))
    return writer
