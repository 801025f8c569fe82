"""Segments of recordings, as small as they can be: a grey video, and records at whole frames."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from tests.media import flat, write_video

RATE = 5


def write_segment(
    folder: Path,
    begin: datetime,
    seconds: float = 2.0,
    found: Sequence[str] = (),
    *,
    lift: float = 2.0,
    grey: int | None = None,
) -> str:
    """Write a segment, and return its name.

    Each frame has the same detections. Without a `grey` (0..255) there are no pictures in the
    video file.
    """
    stem = folder / f"{begin:%Y-%m-%d}" / f"{begin:%H}" / f"{begin:%M-%S}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * RATE)
    lines = (_record(begin, index / RATE, found, lift) for index in range(frames))
    stem.with_suffix(".jsonl").write_bytes(b"".join(lines))
    video = stem.with_suffix(".mp4")
    if grey is None:
        video.write_bytes(b"no video")
    else:
        write_video(video, [flat(64, 48, [grey] * 3)] * frames, rate=RATE)
    return f"{begin:%Y%m%dT%H%M%S}"


def _record(begin: datetime, time: float, found: Sequence[str], lift: float) -> bytes:
    content = {
        # The clock of a camera has its own origin.
        "time": 1000.0 + time,
        "time_utc": (begin + timedelta(seconds=time)).isoformat(),
        "pts": 0,
        "detections": [
            {"label": label, "class_id": 3 if label == "car" else 1, "focus": {"lift": lift}}
            for label in found
        ],
        "cam": {"flicker": 0.25},
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
