"""Frames as cameras give them, and what is found of them in segments."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import orjson
import pytest

from streamcam.sinks.base import Sink
from streamcam.sinks.recording.recorder import SegmentRecorder
from streamcam.types import Frame, FrameResult, Picture
from tests.media import flat, number_of
from tests.sinks.items import PERSON, explained

START = datetime(2025, 3, 1, 11, 59, 58, 250_000, tzinfo=UTC)
SIZE = (64, 48)
NUMBERS = 70
"""How many pictures can be distinguished."""


def shown(index: int, size: tuple[int, int] = SIZE) -> Picture:
    return flat(*size, [20 + 3 * (index % NUMBERS)] * 3)


def live(
    index: int,
    time: float,
    *,
    found: bool = True,
    utc: datetime | None = None,
    reconnected: bool = False,
    pts: int | None = None,
) -> FrameResult:
    """Return frame `index` of a camera, taken `time` seconds after `START` unless `utc` says so."""
    frame = Frame(
        "door",
        index,
        round(time * 1000) if pts is None else pts,
        Fraction(1, 1000),
        time,
        shown(index),
        time_utc=utc or START + timedelta(seconds=time),
        discontinuity=reconnected,
    )
    return explained(frame, [PERSON] if found else [])


def record(
    sink: Sink[Any] | SegmentRecorder, *results: FrameResult, size: tuple[int, int] = SIZE
) -> None:
    for result in results:
        sink.write(result, shown(result.frame.index, size))


@dataclass(frozen=True)
class Written:
    """A segment: its path without an ending, what its video shows, and its records."""

    stem: str
    numbers: list[int]
    times: list[float]
    keys: list[bool]
    records: list[dict[str, Any]]

    @property
    def frames(self) -> list[int]:
        return [record["frame"] for record in self.records]


def written(folder: Path) -> list[Written]:
    """Read all segments of a camera, by the time of their first frame; each must be whole."""
    stems = sorted(path.with_suffix("") for path in folder.rglob("*.jsonl"))
    assert {*folder.rglob("*.mp4")} <= {stem.with_suffix(".mp4") for stem in stems}
    found = [_read(folder, stem) for stem in stems]
    return sorted(found, key=lambda segment: segment.records[0]["time"])


def _read(folder: Path, stem: Path) -> Written:
    content = stem.with_suffix(".jsonl").read_bytes()
    assert content.endswith(b"\n")
    records = [orjson.loads(line) for line in content.splitlines()]
    numbers, times, keys = [], [], []
    if stem.with_suffix(".mp4").exists():
        for frame in decoded(stem.with_suffix(".mp4")):
            numbers.append(number_of(frame.to_ndarray(format="rgb24")))
            times.append(frame.time or 0.0)
            keys.append(bool(frame.key_frame))
        assert numbers == [record["frame"] % NUMBERS for record in records]
        begin = records[0]["time"]
        # The ticks of the video's clock are 11 µs long.
        assert times == pytest.approx([r["time"] - begin for r in records], abs=2e-5)
        assert keys[0]
    return Written(str(stem.relative_to(folder)), numbers, times, keys, records)


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))
