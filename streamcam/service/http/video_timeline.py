"""A video's records, condensed into a timeline that a page can draw."""

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import orjson

Record: TypeAlias = dict[str, Any]

MAX_BUCKETS = 400
"""A timeline is 400 to 1800 pixels wide."""

MAX_CLASSES = 12
"""Rows that fit a page; the rarest classes are left out."""

_RESOLUTION = 1e-6
"""Of the times in records, in seconds."""

# Condensing holds the interpreter lock, which the engine's threads need: one at a time.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class over the length of a video.

    Attributes:
        label: The class.
        total: Number of its detections.
        counts: For each bucket the maximum number in one frame; None without an explained frame.
        lifts: For each bucket the mean focus lift of its detections, None without any.
    """

    label: str
    total: int
    counts: tuple[int | None, ...]
    lifts: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A video's records in buckets of equal duration.

    Attributes:
        start: The player's position at the first record, in seconds.
        step: Length of a bucket, in seconds.
        frames: Number of explained frames in each bucket.
        flicker: Mean flicker of each bucket, None where unknown.
        classes: The classes, most detections first.
    """

    start: float
    step: float
    frames: tuple[int, ...]
    flicker: tuple[float | None, ...]
    classes: tuple[ClassLine, ...]


def condensed(records: Path, start: float = 0.0) -> Timeline:
    """Condense a `.jsonl` file of records; an unchanged file is read only once.

    `start` is the player's position at the first record, in seconds. Raises `OSError`, or
    `ValueError` where the file does not hold records.
    """
    state = records.stat()
    with _one_at_a_time:
        return _condensed(records, start, state.st_mtime_ns, state.st_size)


def start_of(records: Path, time_base: float) -> float:
    """Return the player's position at the first record of a file's video, in seconds.

    Videos keep their source's timestamps, unless those begin below zero. Raises as `condensed`.
    """
    first: int = next(_records(records))["pts"]
    return max(0.0, first * time_base)


@lru_cache(maxsize=64)
def _condensed(records: Path, start: float, *_version: int) -> Timeline:
    lines = _records(records)
    first = next(lines)
    frames, last = _count(records)
    length = last["time"] - first["time"]
    step = _step(length, frames)
    buckets = [_Bucket() for _ in range(_bucket(length, step) + 1)]
    for record in chain([first], lines):
        number = _bucket(record["time"] - first["time"], step)
        # The times of a damaged file may decrease.
        buckets[min(max(number, 0), len(buckets) - 1)].add(record)
    return _timeline(buckets, start, step)


def _bucket(time: float, step: float) -> int:
    return math.floor((time + _RESOLUTION) / step)


def _step(length: float, frames: int) -> float:
    """Return a round duration for a bucket, such that every bucket has a frame."""
    minimum = length / min(MAX_BUCKETS, max(1, frames - 1)) - _RESOLUTION
    for step in (0.04, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0):
        if step >= minimum:
            return step
    return math.ceil(minimum / 60) * 60.0


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    number: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.number += 1

    def value(self) -> float | None:
        return round(self.total / self.number, 4) if self.number else None


class _Bucket:
    def __init__(self) -> None:
        self.frames = 0
        self.flicker = _Mean()
        self.lifts: defaultdict[str, _Mean] = defaultdict(_Mean)
        self.counts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        self.frames += 1
        flicker = record["cam"]["flicker"]
        if flicker is not None:
            self.flicker.add(flicker)
        for detection in record["detections"]:
            self.lifts[detection["label"]].add(detection["focus"]["lift"])
        # The union of two counters has the greater count of each label.
        self.counts |= Counter(detection["label"] for detection in record["detections"])


def _timeline(buckets: Sequence[_Bucket], start: float, step: float) -> Timeline:
    totals: Counter[str] = Counter()
    for bucket in buckets:
        totals.update({label: lift.number for label, lift in bucket.lifts.items()})
    frames = tuple(bucket.frames for bucket in buckets)
    flicker = tuple(bucket.flicker.value() for bucket in buckets)
    classes = tuple(_line(*ranked, buckets) for ranked in totals.most_common(MAX_CLASSES))
    return Timeline(start, step, frames, flicker, classes)


def _line(label: str, total: int, buckets: Sequence[_Bucket]) -> ClassLine:
    counts = tuple(bucket.counts[label] if bucket.frames else None for bucket in buckets)
    lifts = tuple(bucket.lifts[label].value() for bucket in buckets)
    return ClassLine(label, total, counts, lifts)


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        # The empty first line of an empty file is refused.
        yield _record(lines.readline())
        for line in lines:
            yield _record(line)


def _count(path: Path) -> tuple[int, Record]:
    """Return the number of records, and the last one."""
    number, line = 0, b""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):  # noqa: B007 - the last values count
            pass
    return number, _record(line)


def _record(line: bytes) -> Record:
    record = orjson.loads(line)
    if not isinstance(record, dict) or "cam" not in record:
        raise ValueError("not a record of an explained frame")
    return record
