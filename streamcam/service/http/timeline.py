"""What a whole video's records tell, condensed so that a page can draw it."""

import math
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson

Record: TypeAlias = dict[str, Any]

BUCKETS = 400
"""A timeline is some 400 to 1800 pixels wide; twice as many could not be told apart on most."""

MOST_CLASSES = 12
"""Rows that still fit a page; the rarest classes are left out."""

_ACCURACY = 1e-6
"""Seconds: what records round their times to."""

_TAIL = 1 << 16
"""Bytes in which a file's last record is looked for first; some 300 detections of one frame."""

# Condensing holds the interpreter, which the engine's threads need too: one at a time.
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class over the length of a video.

    Attributes:
        label: The class.
        total: Its detections.
        counts: A bucket each: the most of them in one frame; None where nothing was explained.
        lifts: A bucket each: the mean focus lift of its detections, None without any.
    """

    label: str
    total: int
    counts: tuple[int | None, ...]
    lifts: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A video's records in equal stretches of time.

    Attributes:
        start: The player's position at the first record, in seconds.
        step: Length of a bucket, in seconds.
        frames: Explained frames in each bucket.
        flicker: Mean flicker of each bucket, None where unknown.
        classes: The classes, most detections first.
    """

    start: float
    step: float
    frames: tuple[int, ...]
    flicker: tuple[float | None, ...]
    classes: tuple[ClassLine, ...]


def condensed(records: Path, start: float = 0.0) -> Timeline:
    """Condense a file of records; the same file is read only once.

    Args:
        records: A `.jsonl` file with lines in the form of the schema "record".
        start: The player's position at the first record, in seconds.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else.
    """
    state = records.stat()
    with _turn:
        return _condensed(records, start, state.st_mtime_ns, state.st_size)


def start_of(records: Path, time_base: float) -> float:
    """Return where a player stands at the first record of a file's video, in seconds.

    Videos keep their source's own clock, but for one that begins below zero.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else.
    """
    first: int = next(_records(records))["pts"]
    return max(0.0, first * time_base)


@lru_cache(maxsize=64)
def _condensed(records: Path, start: float, *_version: int) -> Timeline:
    lines = _records(records)
    first = next(lines)
    began = first["time"]
    length = _last(records)["time"] - began
    step = _step(length, _count(records))
    buckets = _Buckets(_bucket(length, step) + 1)
    buckets.add(0, first)
    for record in lines:
        buckets.add(_bucket(record["time"] - began, step), record)
    return buckets.timeline(start, step)


def _bucket(time: float, step: float) -> int:
    """Return in which bucket a time lies; times are written with a microsecond's accuracy."""
    return math.floor((time + _ACCURACY) / step)


def _step(length: float, frames: int) -> float:
    """Return a bucket's length that is easy on the eye, and has a frame in every bucket."""
    least = length / min(BUCKETS, max(1, frames - 1)) - _ACCURACY
    for step in (0.04, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0):
        if step >= least:
            return step
    return math.ceil(least / 60) * 60.0


@dataclass(slots=True)
class _Class:
    counts: list[int]
    lifts: list[float]
    seen: list[int]


@dataclass(slots=True)
class _Buckets:
    """Sums while records come in."""

    size: int
    frames: list[int] = field(init=False)
    flickers: list[float] = field(init=False)
    measured: list[int] = field(init=False)
    classes: dict[str, _Class] = field(init=False)

    def __post_init__(self) -> None:
        self.frames, self.measured = [0] * self.size, [0] * self.size
        self.flickers = [0.0] * self.size
        self.classes = {}

    def add(self, bucket: int, record: Record) -> None:
        # A clock that jumped back, in a damaged file, must not write elsewhere.
        bucket = min(max(bucket, 0), self.size - 1)
        self.frames[bucket] += 1
        flicker = record["cam"]["flicker"]
        if flicker is not None:
            self.flickers[bucket] += flicker
            self.measured[bucket] += 1
        lifts: defaultdict[str, list[float]] = defaultdict(list)
        for detection in record["detections"]:
            lifts[detection["label"]].append(detection["focus"]["lift"])
        for label, values in lifts.items():
            self._add_class(label, bucket, values)

    def _add_class(self, label: str, bucket: int, lifts: list[float]) -> None:
        if label not in self.classes:
            zeros = [0] * self.size
            self.classes[label] = _Class(zeros, [0.0] * self.size, zeros.copy())
        line = self.classes[label]
        line.counts[bucket] = max(line.counts[bucket], len(lifts))
        line.lifts[bucket] += sum(lifts)
        line.seen[bucket] += len(lifts)

    def timeline(self, start: float, step: float) -> Timeline:
        ranked = sorted(self.classes.items(), key=lambda item: -sum(item[1].seen))
        return Timeline(
            start,
            step,
            tuple(self.frames),
            _means(self.flickers, self.measured),
            tuple(self._line(label, line) for label, line in ranked[:MOST_CLASSES]),
        )

    def _line(self, label: str, line: _Class) -> ClassLine:
        counts = (
            count if frames else None
            for count, frames in zip(line.counts, self.frames, strict=True)
        )
        return ClassLine(label, sum(line.seen), tuple(counts), _means(line.lifts, line.seen))


def _means(sums: list[float], numbers: list[int]) -> tuple[float | None, ...]:
    return tuple(
        round(total / number, 4) if number else None
        for total, number in zip(sums, numbers, strict=True)
    )


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        # An empty file has an empty first line, which is no record.
        yield _record(lines.readline())
        for line in lines:
            yield _record(line)


def _count(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _record(line: bytes) -> Record:
    record = orjson.loads(line)
    if not isinstance(record, dict) or "cam" not in record:
        raise ValueError("not a record of an explained frame")
    return record


def _last(path: Path) -> Record:
    """Return the last record, found from the file's end."""
    size = path.stat().st_size
    reach = _TAIL
    while True:
        with path.open("rb") as file:
            file.seek(max(0, size - reach), os.SEEK_SET)
            lines = file.read().rstrip().split(b"\n")
        if len(lines) > 1 or reach >= size:
            return _record(lines[-1])
        reach *= 4
