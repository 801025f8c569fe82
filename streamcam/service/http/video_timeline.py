"""Timelines that a page can draw: what was found when, in buckets of equal duration."""

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streamcam.render.style import colour_of
from streamcam.service.http.records_digest import (
    RESOLUTION,
    Digest,
    Record,
    parse_record,
    read_digest,
    read_records,
)
from streamcam.sinks.parquet.table_sinks import FRAMES

MAX_BUCKETS = 400
"""A timeline is 400 to 1800 pixels wide."""

FINEST = 1.0
"""Seconds of a bucket in videos of more than MAX_BUCKETS of them: an hour's take 50 kB a class."""

MAX_CLASSES = 12
"""Rows that fit a page; the rarest classes are left out."""

# Condensing holds the interpreter lock, which the engine's threads need: one at a time.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class over the length of a timeline.

    Attributes:
        label: The class.
        colour: That of its boxes in the video, "#rrggbb".
        total: Number of its detections.
        counts: For each bucket the maximum number in one frame; None without an explained frame.
        lifts: For each bucket the mean focus lift of its detections, None without any.
    """

    label: str
    colour: str
    total: int
    counts: Sequence[int | None]
    lifts: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Records in buckets of equal duration.

    Attributes:
        frames: Number of explained frames in each bucket.
        flicker: Mean flicker of each bucket, None where unknown.
        classes: The classes, most detections first.
    """

    frames: Sequence[int]
    flicker: Sequence[float | None]
    classes: Sequence[ClassLine]


@dataclass(frozen=True, slots=True)
class Timeline(Buckets):
    """A video's records in buckets of equal duration.

    Attributes:
        start: The player's position at the first record, in seconds.
        step: Length of a bucket, in seconds.
    """

    start: float
    step: float


class PlacedDigest(NamedTuple):
    """A digest, and when it begins, in seconds from the beginning of a timeline."""

    offset: float
    digest: Digest


class Period(NamedTuple):
    """A part of a video: the player's positions, in seconds."""

    begin: float
    end: float


def condensed(records: Path, start: float = 0.0, period: Period | None = None) -> Timeline:
    """Condense a file of records, or a period of it in finer buckets, of a second at best.

    An unchanged file is read only once. `start` is the player's position at the first record, in
    seconds. Raises as `read_digest`.
    """
    state = records.stat()
    with _one_at_a_time:
        digest, step, number = _read(records, state.st_mtime_ns, state.st_size)
    begin = 0.0
    if period is not None:
        begin = max(0.0, math.floor((period.begin - start) / digest.slice) * digest.slice)
        length = max(digest.slice, min(period.end - start, digest.seconds) - begin)
        step = max(digest.slice, _round_step(length / MAX_BUCKETS - RESOLUTION))
        number = math.ceil(length / step)
    buckets = in_buckets([PlacedDigest(-begin, digest)], step, number)
    return Timeline(buckets.frames, buckets.flicker, buckets.classes, start + begin, step)


def start_of(records: Path, time_base: float) -> float:
    """Return the player's position at the first record of a file's video, in seconds.

    Videos keep their source's timestamps, unless those begin below zero. Raises as `condensed`.
    """
    first: int = next(read_records(records))["pts"]
    return max(0.0, first * time_base)


@lru_cache(maxsize=32)
def _read(records: Path, *_version: int) -> tuple[Digest, float, int]:
    """Return a file's digest, and the length and number of the buckets for all of it."""
    first = next(read_records(records))
    frames, last = _count(records)
    length = last["time"] - first["time"]
    # Such that every bucket has a frame.
    step = _round_step(length / min(MAX_BUCKETS, max(1, frames - 1)) - RESOLUTION)
    number = math.floor((length + RESOLUTION) / step) + 1
    return read_digest(records, min(step, FINEST)), step, number


def _round_step(minimum: float) -> float:
    """Return a round duration of a bucket, in seconds."""
    for step in (0.04, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0):
        if step >= minimum:
            return step
    return math.ceil(minimum / 60) * 60.0


def _count(path: Path) -> tuple[int, Record]:
    """Return the number of records, and the last one."""
    if path.name.endswith(FRAMES.ending):
        return deque(enumerate(read_records(path), 1), maxlen=1)[0]
    number, line = 0, b""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):  # noqa: B007 - the last values count
            pass
    return number, parse_record(line)


def in_buckets(digests: Sequence[PlacedDigest], step: float, number: int) -> Buckets:
    """Sum up digests in buckets of `step` seconds; what lies outside is left out."""
    if not digests:
        return Buckets([0] * number, [None] * number, [])
    classes: dict[str, int] = {}
    for _, digest in digests:
        classes |= digest.classes
    frames, found = _rows(digests, list(classes), step, number)
    of_frame = frames["bucket"]
    explained = _sums(of_frame, frames["frames"], number).astype(int)
    flicker = _means(
        _sums(of_frame, frames["flicker"], number), _sums(of_frame, frames["flickers"], number)
    )
    lines = _lines(found, classes, explained)
    return Buckets(explained.tolist(), flicker, lines)


_Columns: TypeAlias = dict[str, npt.NDArray[Any]]


def _rows(
    digests: Sequence[PlacedDigest], labels: list[str], step: float, number: int
) -> tuple[_Columns, _Columns]:
    """Return the rows of all digests that lie in the timeline, with their bucket and label."""
    numbers = {label: number for number, label in enumerate(labels)}
    frames = _columns(digests, "frames", step)
    found = _columns(digests, "found", step)
    found["label"] = np.concatenate(
        [
            np.array([numbers[label] for label in digest.classes], int)[digest.found["label"]]
            for _, digest in digests
        ]
    )
    return _within(frames, number), _within(found, number)


def _columns(digests: Sequence[PlacedDigest], kind: str, step: float) -> _Columns:
    tables = [getattr(digest, kind) for _, digest in digests]
    rows = np.concatenate(tables)
    lengths = [len(table) for table in tables]
    offsets = np.repeat([offset for offset, _ in digests], lengths)
    slices = np.repeat([digest.slice for _, digest in digests], lengths)
    times = offsets + rows["slice"] * slices
    columns: _Columns = {name: rows[name] for name in rows.dtype.names or ()}
    return columns | {"bucket": np.floor((times + RESOLUTION) / step).astype(int)}


def _within(columns: _Columns, number: int) -> _Columns:
    return _where(columns, (columns["bucket"] >= 0) & (columns["bucket"] < number))


def _where(columns: _Columns, chosen: npt.NDArray[np.bool_]) -> _Columns:
    return {name: column[chosen] for name, column in columns.items()}


def _lines(
    found: _Columns, classes: dict[str, int], explained: npt.NDArray[Any]
) -> list[ClassLine]:
    totals = _sums(found["label"], found["detections"], len(classes))
    ranked = sorted(np.flatnonzero(totals).tolist(), key=lambda number: -totals[number])
    names = list(classes)
    return [
        _line(_where(found, found["label"] == number), names[number], classes, explained)
        for number in ranked[:MAX_CLASSES]
    ]


def _line(
    found: _Columns, label: str, classes: dict[str, int], explained: npt.NDArray[Any]
) -> ClassLine:
    buckets, detections, length = found["bucket"], found["detections"], len(explained)
    most = np.zeros(length, int)
    np.maximum.at(most, buckets, found["most"])
    counts = [
        count if frames else None
        for count, frames in zip(most.tolist(), explained.tolist(), strict=True)
    ]
    lifts = _means(_sums(buckets, found["lift"], length), _sums(buckets, detections, length))
    red, green, blue = colour_of(classes[label])
    colour = f"#{red:02x}{green:02x}{blue:02x}"
    return ClassLine(label, colour, int(detections.sum()), counts, lifts)


def _sums(
    places: npt.NDArray[Any], values: npt.NDArray[Any], length: int
) -> npt.NDArray[np.float64]:
    return np.bincount(places, values, length).astype(float)


def _means(sums: npt.NDArray[np.float64], numbers: npt.NDArray[np.float64]) -> list[float | None]:
    means = np.round(sums / np.maximum(numbers, 1), 4).tolist()
    return [mean if number else None for mean, number in zip(means, numbers.tolist(), strict=True)]
