"""Names of the segments of cameras: `<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`, in UTC.

A name is the time of the segment's first frame. The number distinguishes segments that began in
the same second, also after the clock was put back.
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
    """Return an unused path, without its ending, for a segment.

    Args:
        folder: The camera's.
        begin: When its first frame was taken.
    """
    moment = begin.astimezone(UTC)
    hour = folder / moment.strftime("%Y-%m-%d") / moment.strftime("%H")
    base = moment.strftime("%M-%S")
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(hour / name for name in names if not _exists(hour / name))


def date_of(folder: str) -> datetime | None:
    """Return the day of a folder of this name; None if it is no such folder."""
    if not _DATE.fullmatch(folder):
        return None
    try:
        return datetime.strptime(folder, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_of(folder: str) -> timedelta | None:
    """Return the hour of a folder of this name, from midnight; None if it is no such folder."""
    return timedelta(hours=int(folder)) if _HOUR.fullmatch(folder) else None


def parse_name(file: str) -> tuple[timedelta, str] | None:
    """Return a published file's offset in its hour and its ending; None if it is not a segment."""
    match = _NAME.fullmatch(file)
    if match is None:
        return None
    return timedelta(minutes=int(match[1]), seconds=int(match[2])), match[3]


def dates(folder: "Path | os.DirEntry[str]") -> Iterator[tuple[datetime, "os.DirEntry[str]"]]:
    """Find the folders of a camera's days; links are not followed.

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


def _exists(stem: Path) -> bool:
    endings = (SEGMENT_VIDEO, SEGMENT_RECORDS)
    names = (stem.name + ending + part for ending in endings for part in ("", PART))
    return any(os.path.lexists(stem.with_name(name)) for name in names)
