"""A camera's segments on disk, found by names that leave no room for paths."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

_NAME = re.compile(r"^\d{8}T\d{6}$", re.ASCII)
_HOUR = re.compile(r"^\d{2}$", re.ASCII)
_SEGMENT = re.compile(r"^(\d{2})-(\d{2})\.mp4$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of a camera's recording.

    Attributes:
        begin: When it begins, UTC.
        video: The annotated video.
        records: Its records, beside it.
    """

    begin: datetime
    video: Path
    records: Path

    @property
    def name(self) -> str:
        """What it is asked for by, e.g. "20250301T120000"."""
        return f"{self.begin:%Y%m%dT%H%M%S}"


def days(folder: Path) -> list[date]:
    """Return the days, in UTC, of which there are recordings, the latest first."""
    found = (_day(entry.name) for entry in _entries(folder))
    return sorted((day for day in found if day is not None), reverse=True)


def segments(folder: Path, day: date) -> list[Segment]:
    """Return a day's segments, the first first."""
    hours = (hour for hour in _entries(folder / day.isoformat()) if _HOUR.match(hour.name))
    names = (f"{day:%Y%m%d}T{hour.name}{minute}" for hour in hours for minute in _minutes(hour))
    placed = (_placed(folder, name) for name in names)
    return sorted((each for each in placed if each), key=lambda segment: segment.begin)


def segment(folder: Path, name: str) -> Segment | None:
    """Return the segment of this name, None where there is none."""
    found = _placed(folder, name)
    return found if found is not None and found.video.is_file() else None


def _placed(folder: Path, name: str) -> Segment | None:
    """Return where a segment of this name lies, if it is a name."""
    if not _NAME.match(name):
        return None
    try:
        begin = datetime.strptime(name, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    place = folder / f"{begin:%Y-%m-%d}" / f"{begin:%H}" / f"{begin:%M-%S}"
    return Segment(begin, place.with_suffix(".mp4"), place.with_suffix(".jsonl"))


def _minutes(hour: Path) -> list[str]:
    """Return when in an hour segments begin, e.g. "0530"."""
    matches = (_SEGMENT.match(entry.name) for entry in _entries(hour))
    return [match[1] + match[2] for match in matches if match]


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
