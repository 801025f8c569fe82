"""`--track`, zones and lines on a clip whose objects are known."""

import json
from collections import Counter, defaultdict
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from streamcam.demo.source import DemoSource
from streamcam.types import Box
from tests.cli.conftest import Streamcam

CLIP = "demo://street?seconds=4&seed=1"
RECORD = jsonschema.Draft202012Validator(schemas.schema("record"))
REGIONS = """
[[tracking.zones]]
name = "left"
points = [0, 0, 0.5, 1]
[[tracking.zones]]
name = "right"
points = [0.5, 0, 1, 1]
[[tracking.lines]]
name = "middle"
points = [0.5, 1, 0.5, 0]
"""


@pytest.fixture(scope="module")
def records(streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("tracks")
    config = folder / "regions.toml"
    config.write_text(REGIONS)
    process = streamcam(
        *("run", CLIP, "--config", config, "--output", folder / "out", "--video", "off", "--quiet")
    )
    assert process.returncode == 0, process.stderr
    text = (folder / "out" / "street.detections.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    for record in found:
        RECORD.validate(record)
    return found


def overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    return shared / (sum(areas) - shared)


def test_numbers_follow_the_objects_that_were_drawn(records: list[dict[str, Any]]) -> None:
    source = DemoSource(CLIP)
    tracks: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        for true in source.truth(record["time"]):
            assert true.identity is not None
            tracks[true.identity] += [
                each["track_id"]
                for each in record["detections"]
                if each["label"] == true.label and overlap(tuple(each["box"]), true.box) > 0.6
            ][:1]
    seen_often = {name: numbers for name, numbers in tracks.items() if len(numbers) >= 5}
    assert len(seen_often) >= 8
    main = {name: Counter(numbers).most_common(1)[0] for name, numbers in seen_often.items()}
    assert len({number for number, _ in main.values()}) == len(main), "each has its own"
    kept = sum(count for _, count in main.values())
    assert kept >= 0.9 * sum(map(len, seen_often.values()))


def test_no_two_detections_of_a_frame_are_one_object(records: list[dict[str, Any]]) -> None:
    for record in records:
        numbers = [each["track_id"] for each in record["detections"]]
        assert len(set(numbers)) == len(numbers)


def test_zones_and_lines_agree_with_the_places(records: list[dict[str, Any]]) -> None:
    inside: defaultdict[int, set[str]] = defaultdict(set)
    crossed = Counter[str]()
    for record in records:
        for change in record.get("zone_changes", []):
            zones = inside[change["track_id"]]
            if change["change"] == "enter":
                assert change["zone"] not in zones
                zones.add(change["zone"])
            else:
                assert change["seconds"] >= 0
                zones.remove(change["zone"])
        for each in record["detections"]:
            assert set(each.get("zones", [])) == inside[each["track_id"]] != set()
            x = (each["box"][0] + each["box"][2]) / 2
            height = each["box"][3] - each["box"][1]
            if abs(x - 384) > max(2, 0.05 * height):
                assert each["zones"] == ["left" if x < 384 else "right"]
        for crossing in record.get("line_crossings", []):
            crossed[crossing["direction"]] += 1
            expected = "right" if crossing["direction"] == "in" else "left"
            assert expected in inside[crossing["track_id"]]
    assert crossed["in"] >= 1
    assert crossed["out"] >= 1
