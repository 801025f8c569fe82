"""Names of the segments of cameras: `<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`, in UTC.

A name is the time of the segment's first frame. The number distinguishes segments that began in
the same second, also after the clock was put back. What is kept of an event lies beside the segment
that it began in, named after the event's id.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path

from streamcam.files import PART

SEGMENT_VIDEO = ".mp4"
SEGMENT_RECORDS = ".jsonl"

EVENT_LINES = "events.jsonl"
"""The events that ended within an hour, in the folder of that hour."""

CLIP = ".mp4"
CLIP_RECORDS = ".jsonl"
STILL = ".jpg"
HEAT_STILL = ".heat.jpg"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"[01]\d|2[0-3]", re.ASCII)
_NUMBER = r"(-(?:[2-9]|[1-9]\d{1,8}))?"
_NAME = re.compile(rf"([0-5]\d)-([0-5]\d){_NUMBER}(\.mp4|\.jsonl)", re.ASCII)
_EVENT = re.compile(r"(\d{10})\.\d{6}-[a-z0-9]{6}(\.mp4|\.jsonl|\.jpg|\.heat\.jpg)", re.ASCII)
_ID = re.compile(rf"(\d{{8}}T\d{{6}}){_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """A published segment with video."""

    name: str  # identifies it in the HTTP API: "20250301T120000" or "20250301T120000-2"
    begin: datetime  # the time of its first frame, UTC, in whole seconds
    video: Path
    records: Path


@dataclass(frozen=True, slots=True)
class RecordedHour:
    """An hour (UTC) of a camera's recording."""

    first: datetime  # the begin of its first segment, UTC
    last: datetime  # the begin of its last one
    segments: int  # how many there are


def free_stem(folder: Path, begin: datetime) -> Path:
    """Return an unused path in a camera's folder, without its ending, for a segment."""
    hour = hour_folder(folder, begin)
    base = begin.astimezone(UTC).strftime("%M-%S")
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


def parse_event_file(file: str) -> tuple[timedelta, bool] | None:
    """Return a file's offset in its hour and whether it has pictures; None if it is of no event."""
    if file == EVENT_LINES:
        return timedelta(0), False
    match = _EVENT.fullmatch(file)
    if match is None:
        return None
    return timedelta(seconds=int(match[1]) % 3600), match[2] != CLIP_RECORDS


def hour_folder(folder: Path, moment: datetime) -> Path:
    """Return the folder of a moment's hour in a camera's folder."""
    utc = moment.astimezone(UTC)
    return folder / utc.strftime("%Y-%m-%d") / utc.strftime("%H")


def event_file(folder: Path, event_id: str, ending: str) -> Path:
    """Return the path of what is kept of an event in a camera's folder."""
    began = datetime.fromtimestamp(float(event_id.partition("-")[0]), UTC)
    return hour_folder(folder, began) / f"{event_id}{ending}"


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
    """Return a camera's segments of a day, in UTC, sorted by begin and number."""
    begin, end = (datetime.combine(day, at, UTC) for at in (time.min, time.max))
    return segments_begun(folder, begin, end)


def segments_begun(folder: Path, begin: datetime, end: datetime) -> list[SegmentFiles]:
    """Return a camera's segments that begin between two moments, sorted by begin and number.

    They have a video; `end` is excluded.
    """
    found = (segment for hour in _hours_between(folder, begin, end) for segment in _in_hour(*hour))
    return _in_order(segment for segment in found if begin <= segment.begin < end)


def recorded_hours(folder: Path, begin: datetime, end: datetime) -> list[RecordedHour]:
    """Return the hours (UTC) that touch a period and in which segments with a video begin."""
    hours = (
        [segment.begin for segment in _in_hour(*hour)]
        for hour in _hours_between(folder, begin, end)
    )
    return [RecordedHour(min(begins), max(begins), len(begins)) for begins in hours if begins]


def segments_between(folder: Path, begin: datetime, end: datetime) -> list[SegmentFiles]:
    """Return a camera's segments that may hold frames of a stretch of time, in their order.

    A segment lasts an hour at most; the hour of the begin and the one before it are read.
    """
    hours = _hours_between(folder, begin - timedelta(hours=1), end)
    found = (segment for hour in hours for segment in _in_hour(*hour))
    ordered = _in_order(segment for segment in found if segment.begin <= end)
    before = [segment for segment in ordered if segment.begin <= begin]
    return before[-1:] + ordered[len(before) :]


def _hours_between(folder: Path, begin: datetime, end: datetime) -> Iterator[tuple[datetime, Path]]:
    """Yield the hours, in UTC, of a period, its end's too, and where their folders would be."""
    first = begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for number in range((end - first) // timedelta(hours=1) + 1):
        hour = first + timedelta(hours=number)
        yield hour, hour_folder(folder, hour)


def _in_hour(hour: datetime, folder: Path) -> Iterator[SegmentFiles]:
    """Yield the segments with video in the folder of an hour, in no order."""
    for entry in _entries(folder):
        match = _NAME.fullmatch(entry.name)
        if match is None or match[4] != SEGMENT_VIDEO:
            continue
        begin = hour + timedelta(minutes=int(match[1]), seconds=int(match[2]))
        name = f"{begin:%Y%m%dT%H%M%S}{match[3] or ''}"
        yield SegmentFiles(name, begin, entry, entry.with_suffix(SEGMENT_RECORDS))


def _in_order(segments: Iterable[SegmentFiles]) -> list[SegmentFiles]:
    return sorted(segments, key=lambda each: (each.begin, len(each.name), each.name))


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
