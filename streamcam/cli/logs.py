"""Logging: formatters for terminals, the journal and collectors; repeated records are counted.

No line holds a credential.
"""

import copy
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO, TypeAlias

import orjson
from rich.logging import RichHandler

from streamcam.cli.terminal import Terminal, errors
from streamcam.clock import Clock, iso_utc
from streamcam.escapes import printable
from streamcam.urls import redacted_url

Redact: TypeAlias = Callable[[str], str]

# Levels of the journal, see sd-daemon(3), the most severe first.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)

# Attributes of every record; all others were given as `extra`.
_COMMON = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """The bare message, without secrets, on one line; with its traceback only for debugging.

    Args:
        redact: Removes secrets from a text.
        debug: Show tracebacks.
        journal: Begin every line with its priority.
    """

    def __init__(self, redact: Redact, *, debug: bool = False, journal: bool = False) -> None:
        super().__init__()
        self._redact = redact
        self._debug = debug
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = self.head(record) + self.message(record)
        if again := repeated(record):
            text += f" (and {again.count} more in the last {again.seconds:.0f} s)"
        lines = [text, *self.traceback(record)]
        return "\n".join(self.prefix(record) + line for line in lines)

    def head(self, record: logging.LogRecord) -> str:
        del record
        return ""

    def prefix(self, record: logging.LogRecord) -> str:
        if not self._journal:
            return ""
        levels = (priority for level, priority in _PRIORITIES if record.levelno >= level)
        return f"<{next(levels)}>"

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A mistake in the code that logs: the unformatted message is better than none.
            text = f"{record.msg} {record.args}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and str(error) not in text:
            text = f"{text}: {type(error).__name__}: {error}"
        return self.clean(text)

    def traceback(self, record: logging.LogRecord) -> list[str]:
        if not (self._debug and record.exc_info and record.exc_info[0]):
            return []
        text = "".join(traceback.format_exception(*record.exc_info))
        return [self.clean(line) for line in self._redact(text).splitlines()]

    def clean(self, text: str) -> str:
        return printable(self._redact(text))


class TextFormatter(LineFormatter):
    """For people: time (the journal adds its own), level, logger, message."""

    def head(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"{record.name}: "
        return f"{_time(record)} {record.levelname} {record.name}: "


class JsonFormatter(LineFormatter):
    """For programs: one JSON object a line.

    Its keys are `time` (ISO 8601, UTC), `level`, `logger`, `message`, then what the code that
    logged it gave as `extra`; `repeated` counts more of the same that were not written, and
    `traceback` is there when debugging.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
        }
        for key, value in vars(record).items():
            if key not in _COMMON and not key.startswith("_"):
                line.setdefault(key, self._plain(value))
        if again := repeated(record):
            line["repeated"] = again.count
        if where := self.traceback(record):
            line["traceback"] = where
        return self.prefix(record) + orjson.dumps(line).decode()

    def _plain(self, value: object) -> object:
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            # Most readers of JSON cannot represent larger ones.
            return value if abs(value) < 1 << 53 else str(value)
        if isinstance(value, dict):
            return {self.clean(str(key)): self._plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(inner) for inner in value]
        return self.clean(str(value))


def _time(record: logging.LogRecord) -> str:
    return iso_utc(datetime.fromtimestamp(record.created, UTC))


PERIOD = 60.0
"""Seconds in which a repeated record is written once: a day makes 1440 lines, some 200 kB."""

_ATTRIBUTE = "_streamcam_repeated"

_Key: TypeAlias = tuple[str, int, str, object]
"""Logger, level, template, source."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Records like one that were not written: their number, and the seconds they span."""

    count: int
    seconds: float


@dataclass(slots=True)
class _Period:
    began: float
    held: int = 0
    latest: logging.LogRecord | None = None


class RateLimitHandler(logging.Handler):
    """Rate-limits repeated log records before a handler, and counts what it holds back.

    Records are the same if logger, level and template are, and the `source` given as `extra`: two
    cameras that fail are two records. The first passes at once; those that follow within a period
    (in seconds) are written as one line, the latest of them with their number, by the first record
    after the period, or by `flush_due` or `flush`. Debug messages all pass.
    """

    def __init__(
        self, target: logging.Handler, *, period: float = PERIOD, clock: Clock | None = None
    ) -> None:
        super().__init__()
        self._target = target
        self._period = period
        self._clock = clock or Clock()
        self._periods: dict[_Key, _Period] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.flush_due()
        if record.levelno <= logging.DEBUG:
            self._target.handle(record)
            return
        period = self._periods.get(_key(record))
        if period is None:
            self._periods[_key(record)] = _Period(self._clock.monotonic())
            self._target.handle(record)
            return
        period.held += 1
        period.latest = record

    def flush_due(self) -> None:
        """Write what is due; to be called regularly, so that no line waits for long."""
        self._flush_older(self._period)

    def flush(self) -> None:
        self._flush_older(0.0)
        self._target.flush()

    def close(self) -> None:
        self.flush()
        self._target.close()
        super().close()

    def _flush_older(self, seconds: float) -> None:
        self.acquire()
        try:
            now = self._clock.monotonic()
            for key, period in list(self._periods.items()):
                if now - period.began >= seconds:
                    self._end(key, period, now)
        finally:
            self.release()

    def _end(self, key: _Key, period: _Period, now: float) -> None:
        if period.latest is None:
            del self._periods[key]
            return
        # The line with their number is the first of the next period.
        self._periods[key] = _Period(now)
        # A copy: other handlers may have the same record.
        record = copy.copy(period.latest)
        if period.held > 1:
            setattr(record, _ATTRIBUTE, Repeated(period.held - 1, now - period.began))
        self._target.handle(record)


def repeated(record: logging.LogRecord) -> Repeated | None:
    """Return the records that a record stands for besides itself; None if it was not repeated."""
    found: Repeated | None = getattr(record, _ATTRIBUTE, None)
    return found


def _key(record: logging.LogRecord) -> _Key:
    return record.name, record.levelno, str(record.msg), getattr(record, "source", None)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def log_to_terminal(level: int) -> None:
    """Write streamcam's own log to the terminal of a command; replaces earlier configuration."""
    handler = RichHandler(console=errors(), show_time=False, show_path=False)
    handler.setFormatter(LineFormatter(redacted_url, debug=level <= logging.DEBUG))
    own = logging.getLogger("streamcam")
    own.setLevel(level)
    own.handlers = [handler]
    own.propagate = False


def configure_logging(
    level: int,
    format: LogFormat = LogFormat.TEXT,  # noqa: A002 - the option's own name
    redact: Redact = redacted_url,
    stream: TextIO | None = None,
) -> RateLimitHandler:
    """Write the log of a service, with its libraries' warnings; replaces earlier configuration.

    The level is the minimum of streamcam's own lines; with DEBUG there are tracebacks. `redact`
    removes secrets from a text; the stream is stderr by default.

    Returns:
        The handler; its `flush_due` is to be called regularly.
    """
    writer = _writer(format, redact, stream or sys.stderr, debug=level <= logging.DEBUG)
    handler = RateLimitHandler(writer)
    own, everything = logging.getLogger("streamcam"), logging.getLogger()
    own.setLevel(level)
    own.handlers = []
    own.propagate = True
    for earlier in [found for found in everything.handlers if isinstance(found, RateLimitHandler)]:
        everything.removeHandler(earlier)
        earlier.close()
    everything.addHandler(handler)
    logging.captureWarnings(True)
    return handler


def goes_to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream goes to systemd's journal, see systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _writer(
    log_format: LogFormat, redact: Redact, stream: TextIO, *, debug: bool
) -> logging.Handler:
    if log_format is LogFormat.TEXT and stream.isatty():
        people = RichHandler(
            console=Terminal(file=stream),
            show_path=False,
            omit_repeated_times=False,
            log_time_format="%Y-%m-%d %H:%M:%S",
        )
        people.setFormatter(LineFormatter(redact, debug=debug))
        return people
    kind = JsonFormatter if log_format is LogFormat.JSON else TextFormatter
    writer = logging.StreamHandler(stream)
    writer.setFormatter(kind(redact, debug=debug, journal=goes_to_journal(stream, os.environ)))
    return writer
