"""Deletes old segments of cameras: by age, by total size, and by free disk space."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from streamcam.clock import Clock
from streamcam.files import free_space
from streamcam.sinks.recording.naming import (
    SEGMENT_VIDEO,
    dates,
    hours,
    parse_event_file,
    parse_name,
)

logger = logging.getLogger(__name__)

_BLOCK = 512
"""Bytes that `st_blocks` counts in, whatever the disk's blocks are."""

_T = TypeVar("_T")
_Dated: TypeAlias = "tuple[datetime, os.DirEntry[str]]"

_EMPTY_FOLDER_AGE = timedelta(hours=2)
"""Younger empty folders are kept: a segment may be about to begin there."""

# Eight cameras of 1080p write about 0.5 GB a minute: `min_free` covers that.
_PERIOD_SECONDS = 60.0


@dataclass(slots=True)
class Deleted:
    """How many files of one kind were deleted, and the sum of their lengths."""

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
    allocated: int
    """Bytes that it takes on the disk."""


@dataclass(eq=False)
class Retention:
    """Deletes the oldest segments of all cameras in an output folder.

    Only files named exactly like published segments and what is kept of events are deleted, and
    their folders when empty: `<camera>/<YYYY-MM-DD>/<HH>/<MM-SS>[-N].(mp4|jsonl)`, `<event>.*`. Of
    events clips and stills count as videos, their lines as records. Running segments (`.part`),
    other files, and whatever is behind a link are kept. A file's age comes from its name; one from
    the future, as after a clock was put back, is new.

    Attributes:
        folder: The output folder, which holds the cameras' folders.
        max_age: Seconds after which videos are deleted, None for never.
        max_age_records: Seconds after which records are deleted, None for never.
        max_bytes: Total size of all segments, None for no bound. The oldest videos are deleted
            first, and records when no video is left.
        min_free: Bytes to keep free on the disk, by deleting in the same order; 0 for no bound.
    """

    folder: Path
    _: KW_ONLY
    max_age: float | None
    max_age_records: float | None
    max_bytes: int | None
    min_free: int
    clock: Clock = field(default_factory=Clock)
    _failed: set[str] = field(default_factory=set, init=False)
    _failed_before: set[str] = field(default_factory=set, init=False)

    def sweep(self) -> Swept:
        """Delete what exceeds the bounds.

        What cannot be read or deleted is logged once and left. With 100,000 files of 4 cameras it
        takes 0.5 s where the disk's folders are cached, and as long again to delete half. Without
        `max_bytes`, and with enough free space, only folders that may hold something old are read.
        """
        swept = Swept()
        self._failed_before, self._failed = self._failed, set()
        now = self.clock.utc()
        if not self.folder.is_dir():
            return swept
        over_budget = self.max_bytes is not None or self._missing_bytes() > 0
        found = self._files(lambda begin: over_budget or self._may_expire(begin, now))
        kept = [file for file in found if not self._expire(file, now, swept)]
        if over_budget:
            self._free_space(kept, swept)
        self._remove_empty_folders(now - _EMPTY_FOLDER_AGE)
        return swept

    def _may_expire(self, begin: datetime, now: datetime) -> bool:
        ages = [age for age in (self.max_age, self.max_age_records) if age is not None]
        return bool(ages) and (now - begin).total_seconds() > min(ages)

    def _expire(self, file: _File, now: datetime, swept: Swept) -> bool:
        max_age = self.max_age if file.video else self.max_age_records
        expired = max_age is not None and (now - file.begin).total_seconds() > max_age
        return expired and self._delete(file, swept)

    def _free_space(self, files: list[_File], swept: Swept) -> None:
        surplus = 0
        if self.max_bytes is not None:
            surplus = sum(file.length for file in files) - self.max_bytes
        # The space freed by a deletion is added up, not queried: some filesystems (Btrfs, XFS)
        # report it much later, and everything would be deleted until they do.
        missing = self._missing_bytes()
        for file in sorted(files, key=lambda file: (not file.video, file.begin)):
            if surplus <= 0 and missing <= 0:
                return
            if self._delete(file, swept):
                surplus -= file.length
                missing -= file.allocated

    def _missing_bytes(self) -> int:
        """Return how many more bytes have to be free."""
        return self.min_free - free_space(self.folder) if self.min_free else 0

    def _delete(self, file: _File, swept: Swept) -> bool:
        try:
            Path(file.path).unlink()
        except OSError as error:
            self._log_once(error, file.path)
            return False
        deleted = swept.videos if file.video else swept.records
        deleted.files += 1
        deleted.bytes += file.length
        return True

    def _files(self, is_relevant: Callable[[datetime], bool]) -> Iterator[_File]:
        """Yield the files of the hours whose begin, and whose day's begin, are relevant."""
        for date, day in self._days():
            if not is_relevant(date):
                continue
            for begin, hour in self._hours(date, day):
                if is_relevant(begin):
                    for entry in self._read(hour.path, _scan(hour.path)):
                        yield from self._segment_file(begin, entry)

    def _segment_file(self, hour: datetime, entry: "os.DirEntry[str]") -> Iterator[_File]:
        parsed = _parse(entry.name)
        if parsed is None or not entry.is_file(follow_symlinks=False):
            return
        offset, is_video = parsed
        try:
            stat = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._log_once(error, entry.path)
            return
        allocated = stat.st_blocks * _BLOCK
        yield _File(hour + offset, entry.path, is_video, stat.st_size, allocated)

    def _remove_empty_folders(self, before: datetime) -> None:
        for date, day in self._days():
            for begin, hour in self._hours(date, day):
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
            self._log_once(error, folder.path)

    def _days(self) -> Iterator[_Dated]:
        for entry in self._read(str(self.folder), _scan(self.folder)):
            if entry.is_dir(follow_symlinks=False):
                yield from self._read(entry.path, dates(entry))

    def _hours(self, date: datetime, day: "os.DirEntry[str]") -> Iterator[_Dated]:
        return self._read(day.path, hours(date, day))

    def _read(self, folder: str, entries: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from entries
        except OSError as error:
            self._log_once(error, folder)

    def _log_once(self, error: OSError, path: str) -> None:
        """Log what cannot be read or deleted, once; a file that is gone already is no error."""
        if isinstance(error, FileNotFoundError):
            return
        if path not in self._failed and path not in self._failed_before:
            logger.warning("%s: not swept: %s", path, error.strerror)
        self._failed.add(path)


def _parse(name: str) -> tuple[timedelta, bool] | None:
    """Return a file's offset in its hour and whether it counts as video; None for other files."""
    segment = parse_name(name)
    if segment is None:
        return parse_event_file(name)
    return segment[0], segment[1] == SEGMENT_VIDEO


def _scan(folder: "str | Path") -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from entries


class RetentionThread:
    """Applies a retention periodically, in a daemon thread of its own.

    Attributes:
        retention: Applied from the next sweep on. May be set from any thread.
    """

    def __init__(self, retention: Retention, period: float = _PERIOD_SECONDS) -> None:
        self.retention = retention
        self._period = period
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamcam retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no other sweep; one that is running goes on. Idempotent."""
        self._stopping.set()

    def join(self, timeout: float) -> bool:
        """Return whether a running sweep ended within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._sweep()
            self._stopping.wait(self._period)

    def _sweep(self) -> None:
        try:
            swept = self.retention.sweep()
        except Exception as error:  # noqa: BLE001 - the cameras go on
            logger.error(  # noqa: TRY400
                "old recordings were not swept: %s: %s", type(error).__name__, error
            )
            return
        for kind, deleted in (("videos", swept.videos), ("records", swept.records)):
            if deleted.files:
                megabytes = deleted.bytes / 1e6
                logger.info("%d old %s were deleted, %.1f MB", deleted.files, kind, megabytes)
