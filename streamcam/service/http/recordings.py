"""A camera's segments on disk, found by names that cannot be paths."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

# The number distinguishes segments that began in the same second.
_NUMBER = r"(-(?:[2-9]|[1-9]\d{1,8}))?"
_NAME = re.compile(rf"(\d{{8}}T\d{{6}}){_NUMBER}", re.ASCII)
_HOUR = re.compile(r"\d{2}", re.ASCII)
_SEGMENT = re.compile(rf"(\d{{2}})-(\d{{2}}){_NUMBER}\.mp4", re.ASCII)


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """One segment of a camera's recording.

    Attributes:
        name: What it is asked for by, e.g. "20250301T120000" or "20250301T120000-2".
        begin: When it begins, UTC.
        video: The annotated video.
        records: Its records, beside it.
    """

    name: str
    begin: datetime
    video: Path
    records: Path


def days(folder: Path) -> list[date]:
    """Return the days, in UTC, of which there are recordings, the latest first."""
    found = (_day(entry.name) for entry in _entries(folder))
    return sorted((day for day in found if day is not None), reverse=True)


def segments(folder: Path, day: date) -> list[SegmentFiles]:
    """Return a day's segments, the first first."""
    hours = (hour for hour in _entries(folder / day.isoformat()) if _HOUR.fullmatch(hour.name))
    names = (f"{day:%Y%m%d}T{hour.name}{minute}" for hour in hours for minute in _minutes(hour))
    placed = (_placed(folder, name) for name in names)
    return sorted((each for each in placed if each), key=_order)


def segment(folder: Path, name: str) -> SegmentFiles | None:
    """Return the segment of this name, None where there is none."""
    found = _placed(folder, name)
    return found if found is not None and found.video.is_file() else None


def _placed(folder: Path, name: str) -> SegmentFiles | None:
    """Return where a segment of this name lies, if it is a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        begin = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    stem = f"{begin:%M-%S}{match[2] or ''}"
    place = folder / f"{begin:%Y-%m-%d}" / f"{begin:%H}" / stem
    return SegmentFiles(name, begin, place.with_suffix(".mp4"), place.with_suffix(".jsonl"))


def _order(segment: SegmentFiles) -> tuple[datetime, int, str]:
    """Return by what segments are sorted: those of one second by their number."""
    return segment.begin, len(segment.name), segment.name


def _minutes(hour: Path) -> list[str]:
    """Return when in an hour segments begin, e.g. "0530" or "0530-2"."""
    matches = (_SEGMENT.fullmatch(entry.name) for entry in _entries(hour))
    return [match[1] + match[2] + (match[3] or "") for match in matches if match]


def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name else None


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
