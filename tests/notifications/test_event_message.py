"""The JSON of an event's change."""

import json
import re
from pathlib import Path

import orjson
import pytest

from streamcam.events.event import EventChange
from streamcam.notifications.event_message import event_message
from tests.notifications.conftest import BEGIN, VALIDATOR, end, new, update

START = BEGIN.timestamp()


@pytest.mark.parametrize("change", [new(), update(), end()], ids=lambda change: change.stage.value)
def test_messages_follow_their_schema(change: EventChange) -> None:
    VALIDATOR.validate(orjson.loads(event_message(change, has_clip=True)))


def test_an_end_says_what_frigate_says_by_the_same_names() -> None:
    message = orjson.loads(event_message(end(), has_clip=True))
    assert message["type"] == "end"
    assert message["before"]["end_time"] is None
    assert message["before"]["current_zones"] == ["path"]
    assert message["after"] == {
        "id": "1740830400.000001-abc123",
        "camera": "yard",
        "label": "person",
        "frame_time": START + 2,
        "start_time": START,
        "end_time": START + 3,
        "top_score": 0.875,
        "snapshot": {"frame_time": START + 1, "box": [10.0, 20.0, 30.2, 60.0], "score": 0.875},
        "current_zones": [],
        "entered_zones": ["door", "path"],
        "has_clip": True,
        "has_snapshot": True,
        "track_id": 1,
        "class_id": 1,
        "frames": 11,
        "lift": 1.75,
        "lift_min": 0.5,
        "off_object": 0.25,
        "suspicions": ["flickering"],
    }


def test_the_documentation_shows_such_a_message() -> None:
    text = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    VALIDATOR.validate(json.loads(shown) | {"before": None})


def test_a_new_event_has_nothing_before() -> None:
    assert orjson.loads(event_message(new(), has_clip=False))["before"] is None
