"""How one record of the log becomes one line."""

import logging
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import orjson

from streamcam.cli.repeats import repeated

Redact: TypeAlias = Callable[[str], str]

# The journal's levels, see sd-daemon(3), from the highest of ours downwards.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)

_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# What every record has; whatever else it has was given as `extra`.
_COMMON = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """The bare message, without secrets, on one line; with its traceback only for debugging.

    Args:
        redact: Takes the secrets out.
        debug: Show tracebacks.
        journal: Begin every line with its priority.
    """

    def __init__(self, redact: Redact, *, debug: bool = False, journal: bool = False) -> None:
        super().__init__()
        self._redact = redact
        self._debug = debug
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break at its end."""
        first = self.head(record) + self.message(record) + _more(record)
        lines = [first, *self.traceback(record)]
        return "\n".join(self.prefix(record) + line for line in lines)

    def head(self, record: logging.LogRecord) -> str:
        """Return what stands before the message."""
        del record
        return ""

    def prefix(self, record: logging.LogRecord) -> str:
        """Return what the journal wants in front of each line."""
        return f"<{_priority(record.levelno)}>" if self._journal else ""

    def message(self, record: logging.LogRecord) -> str:
        """Return what happened, and because of what."""
        text = _said(record)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and str(error) not in text:
            text = f"{text}: {type(error).__name__}: {error}"
        return self.clean(text)

    def traceback(self, record: logging.LogRecord) -> list[str]:
        """Return where it happened, a line each; empty unless debugging."""
        if not (self._debug and record.exc_info and record.exc_info[0]):
            return []
        text = "".join(traceback.format_exception(*record.exc_info))
        return [self.clean(line) for line in self._redact(text).splitlines()]

    def clean(self, text: str) -> str:
        """Return the text without secrets, and without what would break its line."""
        shown = _BREAKING.sub(lambda match: ascii(match[0])[1:-1], self._redact(text))
        # File names may hold bytes that are no text.
        return shown.encode("utf-8", "backslashreplace").decode()


class TextLines(Lines):
    """Lines for people who read logs: when (the journal knows that itself), how bad, who, what."""

    def head(self, record: logging.LogRecord) -> str:
        """Return when, how bad and who."""
        if self._journal:
            return f"{record.name}: "
        return f"{_time(record)} {record.levelname} {record.name}: "


class JsonLines(Lines):
    """Lines for programs: one JSON object each.

    Its keys are `time` (ISO 8601, UTC), `level`, `logger`, `message`, then what the code that
    logged it gave as `extra`; `repeated` counts more of the same that were not written, and
    `traceback` is there when debugging.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, without a line break at its end."""
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
        """Return the value as JSON has it, without secrets at any depth."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            # Larger ones are no numbers for most readers of JSON.
            return value if abs(value) < 1 << 53 else str(value)
        if isinstance(value, dict):
            return {self.clean(str(key)): self._plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(inner) for inner in value]
        return self.clean(str(value))


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A slip in the code that logs; what it had to say is worth more than its form.
        return f"{record.msg} {record.args}"


def _more(record: logging.LogRecord) -> str:
    again = repeated(record)
    return f" (and {again.count} more in the last {again.seconds:.0f} s)" if again else ""


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _priority(level: int) -> int:
    return next(priority for least, priority in _PRIORITIES if level >= least)
