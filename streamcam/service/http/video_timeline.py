"""A video's records, condensed into a timeline that a page can draw."""

import math
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
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
    """Condense a file of records; an unchanged file is read only once.

    Args:
        records: A `.jsonl` file with lines in the form of the schema "record".
        start: The player's position at the first record, in seconds.

    Raises:
        OSError: It cannot be read.
        ValueError: It does not hold records.
    """
    state = records.stat()
    with _one_at_a_time:
        return _condensed(records, start, state.st_mtime_ns, state.st_size)


def start_of(records: Path, time_base: float) -> float:
    """Return the player's position at the first record of a file's video, in seconds.

    Videos keep their source's timestamps, unless those begin below zero.

    Raises:
        OSError: It cannot be read.
        ValueError: It does not hold records.
    """
    first: int = next(_records(records))["pts"]
    return max(0.0, first * time_base)


@lru_cache(maxsize=64)
def _condensed(records: Path, start: float, *_version: int) -> Timeline:
    lines = _records(records)
    first = next(lines)
    origin = first["time"]
    frames, last = _count(records)
    length = last["time"] - origin
    step = _step(length, frames)
    buckets = _Buckets(_bucket(length, step) + 1)
    buckets.add(0, first)
    for record in lines:
        buckets.add(_bucket(record["time"] - origin, step), record)
    return buckets.timeline(start, step)


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
class _ClassSums:
    counts: list[int]
    lifts: list[float]
    numbers: list[int]


class _Buckets:
    """Accumulates records."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.frames, self.flicker_numbers = [0] * size, [0] * size
        self.flickers = [0.0] * size
        self.classes: dict[str, _ClassSums] = {}

    def add(self, bucket: int, record: Record) -> None:
        # The times of a damaged file may decrease.
        bucket = min(max(bucket, 0), self.size - 1)
        self.frames[bucket] += 1
        flicker = record["cam"]["flicker"]
        if flicker is not None:
            self.flickers[bucket] += flicker
            self.flicker_numbers[bucket] += 1
        lifts: defaultdict[str, list[float]] = defaultdict(list)
        for detection in record["detections"]:
            lifts[detection["label"]].append(detection["focus"]["lift"])
        for label, values in lifts.items():
            self._add_class(label, bucket, values)

    def _add_class(self, label: str, bucket: int, lifts: list[float]) -> None:
        if label not in self.classes:
            self.classes[label] = _ClassSums([0] * self.size, [0.0] * self.size, [0] * self.size)
        line = self.classes[label]
        line.counts[bucket] = max(line.counts[bucket], len(lifts))
        line.lifts[bucket] += sum(lifts)
        line.numbers[bucket] += len(lifts)

    def timeline(self, start: float, step: float) -> Timeline:
        ranked = sorted(self.classes.items(), key=lambda item: -sum(item[1].numbers))
        return Timeline(
            start,
            step,
            tuple(self.frames),
            _means(self.flickers, self.flicker_numbers),
            tuple(self._line(label, line) for label, line in ranked[:MAX_CLASSES]),
        )

    def _line(self, label: str, line: _ClassSums) -> ClassLine:
        counts = (
            count if frames else None
            for count, frames in zip(line.counts, self.frames, strict=True)
        )
        return ClassLine(label, sum(line.numbers), tuple(counts), _means(line.lifts, line.numbers))


def _means(sums: list[float], numbers: list[int]) -> tuple[float | None, ...]:
    return tuple(
        round(total / number, 4) if number else None
        for total, number in zip(sums, numbers, strict=True)
    )


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
