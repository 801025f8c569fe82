"""Which segments of cameras stay: by age, by their sum, and by the room that is left."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from streamcam.clock import Clock
from streamcam.sinks.recording.naming import SEGMENT_VIDEO, date_of, dates, hours, place_of

logger = logging.getLogger(__name__)

_BLOCK = 512
"""Bytes that `st_blocks` counts in, whatever the disk's blocks are."""

_T = TypeVar("_T")
_Dated: TypeAlias = "tuple[datetime, os.DirEntry[str]]"

_SETTLED = timedelta(hours=2)
"""Age from which an empty folder of an hour goes: before, a segment may be about to begin there."""


@dataclass(slots=True)
class Deleted:
    """What was deleted of one kind.

    Attributes:
        files: How many.
        bytes: The sum of their lengths.
    """

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has deleted."""

    videos: Deleted = field(default_factory=Deleted)
    records: Deleted = field(default_factory=Deleted)


class _File(NamedTuple):
    begin: datetime
    path: str
    video: bool
    length: int
    room: int
    """Bytes that it takes on the disk."""


class Retention:
    """Deletes the oldest segments of all cameras in an output folder.

    Only files that are exactly named like published segments of ours are deleted, and folders of
    theirs that are empty: `<camera>/<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`. Running segments
    (`.part`), whatever else lies there, and what is behind a link stay. A file's age is told by its
    name; one from the future, as after a clock was put back, is new.

    Args:
        folder: The output folder, which holds the cameras' folders.
        max_age: Seconds after which videos go, None for never.
        max_age_records: Seconds after which records go, None for never.
        max_bytes: How much all segments together may hold, None for no bound. The oldest videos go
            first, and records when no video is left.
        min_free: Bytes that must be free on the disk, made free in the same order; 0 for no bound.
        clock: Tells the age.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_age: float | None,
        max_age_records: float | None,
        max_bytes: int | None,
        min_free: int,
        clock: Clock | None = None,
    ) -> None:
        self._folder = folder
        self._max_age = max_age
        self._max_age_records = max_age_records
        self._max_bytes = max_bytes
        self._min_free = min_free
        self._clock = clock or Clock()
        self._failed: set[str] = set()
        self._failed_before: set[str] = set()

    def sweep(self) -> Swept:
        """Delete what may not stay any longer.

        What cannot be read or deleted is logged once and left. With 100,000 files of 4 cameras it
        takes 0.5 s where the disk's folders are in memory, and as long again to delete half. Where
        no sum is bounded and the disk has room, only folders that may hold something old are read.
        """
        swept = Swept()
        self._failed_before, self._failed = self._failed, set()
        now = self._clock.utc()
        if not self._folder.is_dir():
            return swept
        cramped = self._max_bytes is not None or self._lacking() > 0
        found = self._files(lambda begin: cramped or self._may_expire(begin, now))
        kept = [file for file in found if not self._expire(file, now, swept)]
        if cramped:
            self._make_room(kept, swept)
        self._remove_empty_folders(now - _SETTLED)
        return swept

    def _may_expire(self, begin: datetime, now: datetime) -> bool:
        """Tell whether anything that began then, or later, can be too old."""
        ages = [most for most in (self._max_age, self._max_age_records) if most is not None]
        return bool(ages) and (now - begin).total_seconds() > min(ages)

    def _expire(self, file: _File, now: datetime, swept: Swept) -> bool:
        most = self._max_age if file.video else self._max_age_records
        old = most is not None and (now - file.begin).total_seconds() > most
        return old and self._delete(file, swept)

    def _make_room(self, files: list[_File], swept: Swept) -> None:
        surplus = 0
        if self._max_bytes is not None:
            surplus = sum(file.length for file in files) - self._max_bytes
        # What a deletion makes free is reckoned, not asked for: some filesystems (Btrfs, XFS) tell
        # it much later, and all would be deleted until they do.
        lacking = self._lacking()
        if surplus <= 0 and lacking <= 0:
            return
        for file in sorted(files, key=lambda file: (not file.video, file.begin)):
            if surplus <= 0 and lacking <= 0:
                return
            if self._delete(file, swept):
                surplus -= file.length
                lacking -= file.room

    def _lacking(self) -> int:
        """Return how many bytes more have to be free."""
        return self._min_free - self._free() if self._min_free else 0

    def _free(self) -> int:
        stat = os.statvfs(self._folder)
        return stat.f_bavail * stat.f_frsize

    def _delete(self, file: _File, swept: Swept) -> bool:
        try:
            Path(file.path).unlink()
        except OSError as error:
            self._tolerate(error, file.path)
            return False
        deleted = swept.videos if file.video else swept.records
        deleted.files += 1
        deleted.bytes += file.length
        return True

    def _files(self, concern: Callable[[datetime], bool]) -> Iterator[_File]:
        """Yield the segments' files of the hours that are of concern, told by when they begin."""
        for date, day in self._days():
            hours_of_day = self._hours(day) if concern(date) else iter(())
            for begin, hour in hours_of_day:
                if not concern(begin):
                    continue
                for entry in self._read(hour.path, _scan(hour.path)):
                    yield from self._segment_file(begin, entry)

    def _segment_file(self, hour: datetime, entry: "os.DirEntry[str]") -> Iterator[_File]:
        place = place_of(entry.name)
        if place is None or not entry.is_file(follow_symlinks=False):
            return
        after, ending = place
        try:
            stat = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._tolerate(error, entry.path)
            return
        room = stat.st_blocks * _BLOCK
        yield _File(hour + after, entry.path, ending == SEGMENT_VIDEO, stat.st_size, room)

    def _remove_empty_folders(self, before: datetime) -> None:
        for date, day in self._days():
            for begin, hour in self._hours(day):
                if begin < before:
                    self._remove_if_empty(hour)
            if date + timedelta(days=1) < before:
                self._remove_if_empty(day)

    def _remove_if_empty(self, folder: "os.DirEntry[str]") -> None:
        if any(True for _ in self._read(folder.path, _scan(folder.path))):
            return
        try:
            Path(folder.path).rmdir()
        except OSError as error:
            self._tolerate(error, folder.path)

    def _days(self) -> Iterator[_Dated]:
        for entry in self._read(str(self._folder), _scan(self._folder)):
            if entry.is_dir(follow_symlinks=False):
                yield from self._read(entry.path, dates(entry))

    def _hours(self, day: "os.DirEntry[str]") -> Iterator[_Dated]:
        date = date_of(day.name)
        assert date is not None
        yield from self._read(day.path, hours(date, day))

    def _read(self, folder: str, entries: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from entries
        except OSError as error:
            self._tolerate(error, folder)

    def _tolerate(self, error: OSError, path: str) -> None:
        """Log what cannot be read or deleted, once; what has gone already is no fault."""
        if isinstance(error, FileNotFoundError):
            return
        if path not in self._failed and path not in self._failed_before:
            logger.warning("%s: not swept: %s", path, error.strerror)
        self._failed.add(path)


def _scan(folder: "str | Path") -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from entries
