"""Sources and results of them as `run` leaves them, with the boxes that a test is about."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from streamcam.fingerprint import identity_of
from streamcam.report.results import ResultSource, find_sources
from streamcam.sinks.recording.naming import EVENT_LINES, STILL, event_file
from streamcam.sources.inputs import open_source
from streamcam.types import Picture
from tests.media import numbered, write_video
from tests.report.records import detection, record, write_records

CLASSES = ["cat", "person", "dog"]

Boxes = Callable[[int], Sequence[dict[str, Any]]]


def one_person(number: int) -> Sequence[dict[str, Any]]:
    """Return a person who moves by four pixels from each explained frame to the next."""
    return [detection(box=(10.0 + 4 * number, 20.25, 40.5 + 4 * number, 70.0))]


def explain_video(
    folder: Path,
    results: Path,
    *,
    name: str = "clip",
    count: int = 6,
    boxes: Boxes = one_person,
    pictures: Sequence[Picture] | None = None,
) -> Path:
    """Write a video whose every fifth frame is explained, and results of it; return the video."""
    shown = numbered(5 * count, 160, 96) if pictures is None else pictures
    folder.mkdir(parents=True, exist_ok=True)
    path = write_video(folder / f"{name}.mp4", shown, options={"crf": "5", "g": "10"})
    with closing(open_source(str(path))) as source:
        ticks = round(1 / 25 / source.info.time_base)
    records = [record(number, *boxes(number)) for number in range(count)]
    for one in records:
        one["pts"] = one["frame"] * ticks
    write_result(results, name, path, records)
    return path


def explain_picture(path: Path, results: Path, *boxes: dict[str, Any]) -> None:
    """Write results of a picture that is there."""
    one = {**record(0, *boxes), "source": path.name, "pts": 0}
    write_result(results, path.stem, path, [one])


def write_result(
    folder: Path, name: str, source: Path, records: Sequence[dict[str, Any]], **engine: Any
) -> None:
    write_records(folder / f"{name}.detections.jsonl", records)
    with closing(open_source(str(source))) as opened:
        info = opened.info
    manifest = {
        "schema_version": 1,
        "outcome": "done",
        "outputs": {"records": f"{name}.detections.jsonl"},
        "source": {
            "id": source.name,
            "location": str(source),
            "fingerprint": identity_of(source).fingerprint,
            "width": info.width,
            "height": info.height,
            "time_base": f"{info.time_base.numerator}/{info.time_base.denominator}",
            "still": info.still,
        },
        "engine": {"model": "tiny", "classes": CLASSES, **engine},
        "settings": {"model": {"confidence": 0.5}},
    }
    (folder / f"{name}.manifest.json").write_bytes(orjson.dumps(manifest))


def save_maps(folder: Path, name: str, frames: Sequence[int], *, archive: bool) -> None:
    """Add maps to results: of each frame, and of its first box; the value tells the frame."""
    path = folder / (f"{name}.maps.npz" if archive else f"{name}.maps")
    arrays = {
        f"{frame:06}.{part}": np.full((3, 5), min(1.0, frame / 100), np.float32)
        for frame in frames
        for part in ("frame", "box-0")
    }
    if archive:
        np.savez(path, **arrays)  # type: ignore[arg-type]
    else:
        path.mkdir()
        for map_name, heat in arrays.items():
            levels = np.rint(heat * 65535).astype(np.uint16)
            cv2.imwrite(str(path / f"{map_name}.map.png"), levels)
    manifest = folder / f"{name}.manifest.json"
    content = orjson.loads(manifest.read_bytes())
    content["outputs"]["maps"] = path.name
    manifest.write_bytes(orjson.dumps(content))


def keep_event(camera: Path, number: int, picture: Picture) -> Path:
    """Write an event of a camera whose best frame is a record's, and its still; return that."""
    best = record(number, live=True)
    moment = datetime.fromisoformat(best["time_utc"])
    event_id = f"{moment.timestamp():.6f}-abc{number:03}"
    still = event_file(camera, event_id, STILL)
    still.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(still), picture[..., ::-1])
    line = {"id": event_id, "best": {name: best[name] for name in ("frame", "time", "time_utc")}}
    with (still.parent / EVENT_LINES).open("ab") as lines:
        lines.write(orjson.dumps(line) + b"\n")
    return still


def frame_at(path: Path, index: int) -> Picture:
    """Return a frame of a video, decoded from its beginning."""

    class Every:
        start = 0.0
        next_due = 0.0

        def wants(self, *_: object) -> bool:
            return True

    with closing(open_source(str(path))) as source:
        return next(one.picture for one in source.frames(Every()) if one.index == index)


def only_source(results: Path) -> ResultSource:
    (source,) = find_sources(results)
    return source
