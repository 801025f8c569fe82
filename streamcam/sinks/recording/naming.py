"""What the segments of cameras are called: `<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`, in UTC.

The names tell when a segment's first frame was taken. A number tells those apart that began in one
second, or that a clock put back has made to.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from streamcam.files import PART

SEGMENT_VIDEO = ".mp4"
SEGMENT_RECORDS = ".jsonl"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"[01]\d|2[0-3]", re.ASCII)
_NAME = re.compile(r"([0-5]\d)-([0-5]\d)(?:-(?:[2-9]|[1-9]\d+))?(\.mp4|\.jsonl)", re.ASCII)


def free_stem(folder: Path, begin: datetime) -> Path:
    """Return a segment's path without its ending, under which there is nothing yet.

    Args:
        folder: The camera's.
        begin: When its first frame was taken.
    """
    moment = begin.astimezone(UTC)
    hour = folder / moment.strftime("%Y-%m-%d") / moment.strftime("%H")
    base = moment.strftime("%M-%S")
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(hour / name for name in names if not _is_taken(hour / name))


def date_of(folder: str) -> datetime | None:
    """Return the day whose segments lie in a folder of this name; None if it is none of ours."""
    if not _DATE.fullmatch(folder):
        return None
    try:
        return datetime.strptime(folder, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_of(folder: str) -> timedelta | None:
    """Return the hour in its day of a folder of this name; None if it is none of ours."""
    return timedelta(hours=int(folder)) if _HOUR.fullmatch(folder) else None


def place_of(file: str) -> tuple[timedelta, str] | None:
    """Return when in its hour a published file begins, and its ending; None if it is not ours."""
    match = _NAME.fullmatch(file)
    if match is None:
        return None
    return timedelta(minutes=int(match[1]), seconds=int(match[2])), match[3]


def dates(folder: "Path | os.DirEntry[str]") -> Iterator[tuple[datetime, "os.DirEntry[str]"]]:
    """Find the folders of a camera's days, by way of no link.

    Yields:
        When the day begins, and its folder; in no order.

    Raises:
        OSError: The folder cannot be read.
    """
    for entry in _folders(folder):
        date = date_of(entry.name)
        if date is not None:
            yield date, entry


def hours(date: datetime, day: "os.DirEntry[str]") -> Iterator[tuple[datetime, "os.DirEntry[str]"]]:
    """Find the folders of a day's hours as `dates` finds those of days."""
    for entry in _folders(day):
        hour = hour_of(entry.name)
        if hour is not None:
            yield date + hour, entry


def _folders(folder: "Path | os.DirEntry[str]") -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_taken(stem: Path) -> bool:
    endings = (SEGMENT_VIDEO, SEGMENT_RECORDS)
    names = (stem.name + ending + part for ending in endings for part in ("", PART))
    return any(os.path.lexists(stem.with_name(name)) for name in names)
