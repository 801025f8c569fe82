import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from streamcam.clock import iso_utc
from streamcam.regions import Direction, LineCrossing, ZoneChange
from streamcam.sinks.coarse_map import coarse_map, encoded
from streamcam.sinks.records import JsonlSink
from tests.sinks.items import PERSON, explained, frame

RECORD = jsonschema.Draft202012Validator(
    schemas.schema("record"), format_checker=jsonschema.FormatChecker()
)


COARSE_MAP = encoded(coarse_map(explained(frame(0)).explanation.map))


def lines(path: Path) -> list[Any]:
    content = path.read_text(encoding="utf-8")
    assert content.endswith("\n")
    found = [json.loads(line) for line in content.splitlines()]
    for record in found:
        RECORD.validate(record)
    return found


def test_a_record_has_exactly_the_planned_form(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.write(explained(frame(3)))
    (record,) = lines(sink.finish())
    assert record == {
        "source": "dir/clip.mp4",
        "frame": 3,
        "pts": 120,
        "time": 0.12,
        "detections": [
            {
                "label": "person",
                "class_id": 1,
                "confidence": 0.8765,
                "box": [10.12, 5.0, 60.46, 64.0],
                "focus": {"energy": 0.3, "lift": 3.2, "peak_inside": True},
            }
        ],
        "cam": {
            "method": "eigencam",
            "explained_variance": 0.4568,
            "flicker": 0.0123,
            "peak": [12.35, 7.0],
            "coarse_map": COARSE_MAP,
            "age_ms": 0.0,
        },
    }
    assert list(record) == ["source", "frame", "pts", "time", "detections", "cam"]


def test_tracked_objects_and_what_they_did(tmp_path: Path) -> None:
    person = replace(PERSON, track_id=7, zones=("door",))
    result = replace(
        explained(frame(3), [person, replace(PERSON, track_id=8)]),
        zone_changes=(
            ZoneChange("door", "person", 7),
            ZoneChange("door", "dog", 3, seconds=4.20049),
        ),
        line_crossings=(LineCrossing("gate", Direction.OUT, "person", 7),),
    )
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.write(result)
    (record,) = lines(sink.finish())
    first, second = record["detections"]
    assert (first["track_id"], first["zones"]) == (7, ["door"])
    assert (second["track_id"], "zones" in second) == (8, False)
    assert record["zone_changes"] == [
        {"zone": "door", "change": "enter", "label": "person", "track_id": 7},
        {"zone": "door", "change": "leave", "label": "dog", "track_id": 3, "seconds": 4.2},
    ]
    assert record["line_crossings"] == [
        {"line": "gate", "direction": "out", "label": "person", "track_id": 7}
    ]


def test_live_frames_tell_their_wall_clock_time(tmp_path: Path) -> None:
    moment = datetime(2025, 3, 1, 14, 0, 0, 250_999, timezone(timedelta(hours=2)))
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.write(explained(frame(0, time_utc=moment)))
    (record,) = lines(sink.finish())
    assert record["time_utc"] == "2025-03-01T12:00:00.250Z"


def test_live_frames_tell_how_long_their_picture_has_stood_still(tmp_path: Path) -> None:
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    sink = JsonlSink(tmp_path / "x.jsonl")
    for unchanged in (0.0, 12.34567):
        still = replace(frame(0, time_utc=moment), unchanged=unchanged)
        sink.write(explained(still))
    assert [record["last_frame_age"] for record in lines(sink.finish())] == [0.0, 12.346]


def test_empty_frames_have_records_and_passing_ones_have_none(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.write(explained(frame(0), detections=[], flicker=None))
    sink.write(frame(1, sampled=False))
    sink.write(explained(frame(2)))
    records = lines(sink.finish())
    assert [record["frame"] for record in records] == [0, 2]
    assert records[0]["detections"] == []
    assert records[0]["cam"]["flicker"] is None


def test_each_line_can_be_followed_while_the_file_grows(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    for index in range(3):
        sink.write(explained(frame(index)))
        assert len(lines(tmp_path / "x.jsonl.part")) == index + 1
    sink.abort()


@pytest.mark.parametrize("label", ["велосипед", "自転車", 'a "quoted" \\ label', "two\nlines"])
def test_labels_of_all_kinds(tmp_path: Path, label: str) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.write(explained(frame(0), [replace(PERSON, label=label)]))
    (record,) = lines(sink.finish())
    assert record["detections"][0]["label"] == label


def test_utc_is_iso_8601() -> None:
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert iso_utc(moment) == "2025-03-01T12:00:00.000Z"
    assert datetime.fromisoformat(iso_utc(moment)) == moment
