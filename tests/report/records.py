"""Records as sinks write them, with the values that a test is about."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from tests.media import numbered, write_video

BEGIN = datetime(2025, 3, 1, 12, tzinfo=UTC)
BOX = (40.0, 30.0, 80.0, 70.0)
ENDED = "2025-03-03T10:00:00.000Z"
"""When the results of files were complete."""

SEGMENT = f"{BEGIN:%Y-%m-%d}/{BEGIN:%H}/{BEGIN:%M-%S}"


def detection(
    label: str = "person",
    *,
    confidence: float = 0.8,
    lift: float = 4.0,
    box: Sequence[float] = BOX,
    track: int | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": label,
        "class_id": 1,
        "confidence": confidence,
        "box": list(box),
        "focus": {"energy": 0.2, "lift": lift, "peak_inside": lift > 1},
    }
    return found if track is None else {**found, "track_id": track}


def record(
    number: int, *detections: dict[str, Any], flicker: float = 0.01, live: bool = False
) -> dict[str, Any]:
    """The record of the frame at `number` fifths of a second; `pts` count frames of 25 a second."""
    moment = BEGIN + timedelta(seconds=number / 5)
    utc = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "source": "clip.mp4",
        "frame": 5 * number,
        "pts": 5 * number,
        "time": number / 5,
        **({"time_utc": utc} if live else {}),
        "detections": list(detections),
        "cam": {
            "method": "eigencam",
            "explained_variance": 0.5,
            "flicker": None if number == 0 else flicker,
            "peak": [1.0, 2.0],
            "coarse_map": base64.b64encode(bytes(64)).decode(),
            "age_ms": 0.0,
        },
    }


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    return path


def write_results(
    folder: Path, records: Sequence[dict[str, Any]], *, name: str = "clip", video: bool = True
) -> None:
    """Results of a file as `run` leaves them; the video's frames tell their numbers."""
    write_records(folder / f"{name}.detections.jsonl", records)
    outputs = {"records": f"{name}.detections.jsonl"}
    if video:
        write_video(folder / f"{name}.heatmap.mp4", numbered(len(records), 160, 96), rate=5)
        outputs["video"] = f"{name}.heatmap.mp4"
    manifest = {
        "schema_version": 1,
        "outcome": "done",
        "outputs": outputs,
        "source": {"id": f"{name}.mp4", "time_base": "1/25", "still": False},
        "engine": {},
        "settings": {},
        "ended": ENDED,
    }
    (folder / f"{name}.manifest.json").write_bytes(orjson.dumps(manifest))


def write_segment(folder: Path, records: Sequence[dict[str, Any]], stem: str = SEGMENT) -> None:
    write_records(folder / f"{stem}.jsonl", records)
    write_video(folder / f"{stem}.mp4", numbered(len(records), 160, 96), rate=5)


def write_examples(folder: Path) -> Path:
    """A file whose person is off its map at 2.4 s, and a camera with a dog in a single frame."""
    frames = [record(number, detection(), detection("car")) for number in range(30)]
    frames[12] = record(12, detection(confidence=0.9, lift=0.1), detection("car"))
    write_results(folder, frames)
    live = [record(number, detection(), live=True) for number in range(20)]
    live[9]["detections"].append(detection("<b>dog</b>\x1b"))
    write_segment(folder / "yard", live)
    return folder
