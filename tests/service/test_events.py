"""Events of a running service, from the drawn street to clips, through a kill and a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from streamcam import schemas
from streamcam.demo.source import DemoSource
from streamcam.types import Box
from tests.service.running import Service
from tests.sinks.live import decoded

STREET = "demo://street?seed=1&width=640&height=360"
CONFIG = f"""
[live]
max_fps = 5
segment = "2s"
[[camera]]
name = "street"
url = "{STREET}"
[camera.events]
classes = ["person", "car"]
min_confidence = 0.5
min_seconds = "1s"
pre_roll = "1s"
post_roll = "1s"
"""
WANTED = 4
"""Clips that are waited for: what two cores give in a quarter of a minute."""


@dataclass(frozen=True)
class Told:
    """What a service told of its events before it was killed, and what it tells after a restart."""

    folder: Path
    before: dict[str, Any]
    after: dict[str, Any]
    metrics: str


def events_of(service: Service) -> dict[str, Any]:
    """Return all events by id."""
    return {each["id"]: each for each in service.ask("/api/events?limit=500").json["events"]}


def with_clip(events: dict[str, Any]) -> list[str]:
    return [each for each, event in events.items() if event["clip"] == "ready"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("events")
    with Service(folder, CONFIG) as service:
        service.until(lambda: len(with_clip(events_of(service))) >= WANTED)
        service.until(lambda: any(not each["end"] for each in events_of(service).values()))
        before, metrics = events_of(service), service.ask("/metrics").body.decode()
        service.kill()
    with Service(folder, CONFIG.replace("max_fps = 5", "max_fps = 1")) as service:
        service.until(lambda: not unsettled(before, events_of(service)))
        yield Told(folder, before, events_of(service), metrics)


def unsettled(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the events of before the kill that have no end yet, or whose clip is still due."""
    return [each for each in before if not after[each]["end"] or after[each]["clip"] == "pending"]


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (both - width * height)


def test_events_are_objects_that_are_there(told: Told) -> None:
    scene = DemoSource(STREET).scene
    for event in told.before.values():
        there = scene.truth(event["best"]["time"])
        same = [each.box for each in there if each.label == event["label"]]
        assert max(overlap(tuple(event["box"]), box) for box in same) > 0.5, event
        last = event["end"] or event["best"]
        assert last["time"] - event["begin"]["time"] >= 1
        assert event["confidence"] >= 0.5


def test_clips_play_and_hold_their_objects(told: Told) -> None:
    for event in (told.after[each] for each in told.before):
        assert event["clip"] == "ready", event
        hour = told.folder / "out" / "street" / event["begin"]["time_utc"][:10]
        (path,) = hour.rglob(f"{event['id']}.mp4")
        lines = path.with_suffix(".jsonl").read_bytes().splitlines()
        records = [orjson.loads(line) for line in lines]
        assert len(decoded(path)) == len(records)
        shown = {record["frame"]: record for record in records}
        # What lasted at the kill may have its best frame in the one that was just being written.
        whole = told.before[event["id"]]["end"]
        for moment in ("begin", "best", "end") if whole else ("begin",):
            there = shown[event[moment]["frame"]]["detections"]
            assert event["track_id"] in [each["track_id"] for each in there]


def test_a_kill_loses_no_event_and_a_restart_ends_those_that_lasted(told: Told) -> None:
    assert any(event["end"] is None for event in told.before.values())
    assert all(told.after[each]["end"] for each in told.before)
    for each, event in told.before.items():
        if event["end"]:
            assert told.after[each]["end"] == event["end"]


def test_each_end_is_a_line(told: Told) -> None:
    lines = [
        orjson.loads(line)
        for path in (told.folder / "out" / "street").rglob("events.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    for line in lines:
        jsonschema.Draft202012Validator(schemas.schema("event")).validate(line)
    written = [line["id"] for line in lines]
    assert len(written) == len(set(written))
    assert set(told.before) <= set(written)


def test_events_are_counted(told: Told) -> None:
    begun = [
        line for line in told.metrics.splitlines() if line.startswith("streamcam_events_total")
    ]
    assert sum(float(line.rpartition(" ")[2]) for line in begun) >= WANTED
    assert all('source="street"' in line for line in begun)
