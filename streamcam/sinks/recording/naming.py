"""Names of the segments of cameras: `<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`, in UTC.

A name is the time of the segment's first frame. The number distinguishes segments that began in
the same second, also after the clock was put back.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

from streamcam.files import PART

SEGMENT_VIDEO = ".mp4"
SEGMENT_RECORDS = ".jsonl"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"[01]\d|2[0-3]", re.ASCII)
_NUMBER = r"(-(?:[2-9]|[1-9]\d{1,8}))?"
_NAME = re.compile(rf"([0-5]\d)-([0-5]\d){_NUMBER}(\.mp4|\.jsonl)", re.ASCII)
_ID = re.compile(rf"(\d{{8}}T\d{{6}}){_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """A published segment with video."""

    name: str  # identifies it in the HTTP API: "20250301T120000" or "20250301T120000-2"
    begin: datetime  # the time of its first frame, UTC
    video: Path
    records: Path


def free_stem(folder: Path, begin: datetime) -> Path:
    """Return an unused path in a camera's folder, without its ending, for a segment."""
    moment = begin.astimezone(UTC)
    hour = folder / moment.strftime("%Y-%m-%d") / moment.strftime("%H")
    base = moment.strftime("%M-%S")
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(hour / name for name in names if not _exists(hour / name))


def date_of(folder: str) -> datetime | None:
    if not _DATE.fullmatch(folder):
        return None
    try:
        return datetime.strptime(folder, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_of(folder: str) -> timedelta | None:
    return timedelta(hours=int(folder)) if _HOUR.fullmatch(folder) else None


def parse_name(file: str) -> tuple[timedelta, str] | None:
    """Return a published file's offset in its hour and its ending; None if it is not a segment."""
    match = _NAME.fullmatch(file)
    if match is None:
        return None
    return timedelta(minutes=int(match[1]), seconds=int(match[2])), match[4]


def dates(folder: "Path | os.DirEntry[str]") -> Iterator[tuple[datetime, "os.DirEntry[str]"]]:
    """Yield when each day of a camera begins, and its folder; in no order. Links are left out."""
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


def recorded_days(folder: Path) -> list[date]:
    """Return the days, in UTC, of which a camera has recordings, the latest first."""
    days = (date_of(entry.name) for entry in _entries(folder))
    return sorted((day.date() for day in days if day is not None), reverse=True)


def recorded_segments(folder: Path, day: date) -> list[SegmentFiles]:
    """Return a camera's segments of a day, sorted by begin and number."""
    names = (
        f"{day:%Y%m%d}T{hour.name}{match[1]}{match[2]}{match[3] or ''}"
        for hour in _entries(folder / day.isoformat())
        if hour_of(hour.name) is not None
        for entry in _entries(hour)
        if (match := _NAME.fullmatch(entry.name)) and match[4] == SEGMENT_VIDEO
    )
    found = (_segment_named(folder, name) for name in names)
    return sorted(
        (segment for segment in found if segment is not None),
        key=lambda segment: (segment.begin, len(segment.name), segment.name),
    )


def recorded_segment(folder: Path, name: str) -> SegmentFiles | None:
    """Return a camera's segment by name; None where it does not exist."""
    segment = _segment_named(folder, name)
    return segment if segment is not None and segment.video.is_file() else None


def _segment_named(folder: Path, name: str) -> SegmentFiles | None:
    """Return the segment that a name identifies; None if it is no valid name."""
    match = _ID.fullmatch(name)
    if match is None:
        return None
    try:
        begin = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    stem = folder / f"{begin:%Y-%m-%d}" / f"{begin:%H}" / f"{begin:%M-%S}{match[2] or ''}"
    files = (stem.with_suffix(ending) for ending in (SEGMENT_VIDEO, SEGMENT_RECORDS))
    return SegmentFiles(name, begin, *files)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _folders(folder: "Path | os.DirEntry[str]") -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_dir(follow_symlinks=False))


def _exists(stem: Path) -> bool:
    endings = (SEGMENT_VIDEO, SEGMENT_RECORDS)
    names = (stem.name + ending + part for ending in endings for part in ("", PART))
    return any(os.path.lexists(stem.with_name(name)) for name in names)
