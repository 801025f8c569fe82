"""A file of records, condensed into slices of time.

What a digest tells costs milliseconds, however long its file is and however many of a day's are
summed up. Those of finished files are kept in memory.
"""

import math
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from streamcam.errors import StreamcamError
from streamcam.sinks.parquet.table_sinks import FRAMES, read_record_tables

Record: TypeAlias = dict[str, Any]

RESOLUTION = 1e-6
"""Of the times in records, in seconds."""

_MAX_DIGESTS = 8192
"""More than five days of segments of a minute, in about 30 MB where three classes are found."""

_FRAMES = np.dtype([("slice", "u4"), ("frames", "u4"), ("flickers", "u4"), ("flicker", "f4")])
_FOUND = np.dtype(
    [("slice", "u4"), ("label", "u2"), ("most", "u2"), ("detections", "u4"), ("lift", "f4")]
)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file of records says, in slices of equal duration from its first frame on.

    Attributes:
        begin: The first frame's time of day; None of a file.
        seconds: From the first frame to the end of the last.
        slice: Length of a slice, in seconds.
        classes: The labels found, and their class numbers.
        frames: One row for each slice with explained frames: their number, and the sum of flicker.
        found: One row for each slice and label: the maximum in a frame, the number of detections,
            and the sum of their lift.
    """

    begin: datetime | None
    seconds: float
    slice: float
    classes: dict[str, int]
    frames: npt.NDArray[np.void]
    found: npt.NDArray[np.void]


class DigestCache:
    """Digests of files that no longer change; the least recently used are dropped."""

    def __init__(self, size: int = _MAX_DIGESTS) -> None:
        self._size = size
        self._known: OrderedDict[tuple[Path, int, int], Digest] = OrderedDict()
        # Reading holds the interpreter lock, which the engine's threads need: one at a time.
        self._lock = threading.Lock()

    def known(self, records: Path) -> Digest | None:
        """Return a file's digest if it need not be read. Raises `OSError`."""
        return self._known.get(_version(records))

    def read(self, records: Path, seconds: float) -> Digest:
        """Return a file's digest in slices of some length; raises as `read_digest`."""
        key = _version(records)
        with self._lock:
            found = self._known.get(key) or read_digest(records, seconds)
            self._known[key] = found
            self._known.move_to_end(key)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return found


def _version(records: Path) -> tuple[Path, int, int]:
    state = records.stat()
    return records, state.st_mtime_ns, state.st_size


def read_digest(records: Path, seconds: float) -> Digest:
    """Read a file of records, JSON lines or the table of frames, into slices of some length.

    Raises `OSError`, or `ValueError`, `KeyError` or `TypeError` where it holds no records.
    """
    slices: defaultdict[int, _Slice] = defaultdict(_Slice)
    first: Record | None = None
    length, number = 0.0, 0
    for number, record in enumerate(read_records(records), 1):  # noqa: B007 - the last counts
        first = first or record
        # The times of a damaged file may decrease.
        time = max(0.0, record["time"] - first["time"])
        length = max(length, time)
        slices[math.floor((time + RESOLUTION) / seconds)].add(record)
    assert first is not None, "read_records yields a record or raises"
    return _packed(first, length * number / max(1, number - 1), seconds, slices)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a file, at least one; raises as `read_digest`."""
    if path.name.endswith(FRAMES.ending):
        yield from _read_tables(path)
        return
    with path.open("rb") as lines:
        # The empty first line of an empty file is refused.
        yield parse_record(lines.readline())
        for line in lines:
            yield parse_record(line)


def _read_tables(frames: Path) -> Iterator[Record]:
    try:
        records = read_record_tables(frames)
        yield next(records)
        yield from records
    except StopIteration as error:
        raise ValueError("no record of an explained frame") from error
    except StreamcamError as error:
        raise ValueError(error.message) from error


def parse_record(line: bytes) -> Record:
    record = orjson.loads(line)
    if not isinstance(record, dict) or "cam" not in record:
        raise ValueError("not a record of an explained frame")
    return record


@dataclass(slots=True)
class _Slice:
    frames: int = 0
    flickers: int = 0
    flicker: float = 0.0
    most: Counter[str] = field(default_factory=Counter)
    detections: Counter[str] = field(default_factory=Counter)
    lifts: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    classes: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        self.frames += 1
        flicker = record["cam"]["flicker"]
        if flicker is not None:
            self.flickers += 1
            self.flicker += flicker
        found: Counter[str] = Counter()
        for detection in record["detections"]:
            label = detection["label"]
            found[label] += 1
            self.lifts[label] += detection["focus"]["lift"]
            self.classes[label] = detection["class_id"]
        self.detections.update(found)
        # The union of two counters has the greater count of each label.
        self.most |= found


def _packed(first: Record, length: float, seconds: float, slices: dict[int, _Slice]) -> Digest:
    classes: dict[str, int] = {}
    for each in slices.values():
        classes |= each.classes
    numbers = {label: number for number, label in enumerate(classes)}
    frames = [(at, s.frames, s.flickers, s.flicker) for at, s in slices.items()]
    found = [
        (at, numbers[label], most, s.detections[label], s.lifts[label])
        for at, s in slices.items()
        for label, most in s.most.items()
    ]
    begin = first.get("time_utc")
    return Digest(
        begin=None if begin is None else datetime.fromisoformat(begin),
        seconds=round(length, 3),
        slice=seconds,
        classes=classes,
        frames=np.array(frames, _FRAMES),
        found=np.array(found, _FOUND),
    )
