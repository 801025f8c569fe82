"""Discovery messages, checked against the fields that Home Assistant publishes.

Of https://www.home-assistant.io/integrations/mqtt/ (device discovery payload) and the pages of the
platforms, as of 2025: fields without abbreviations, each with its kind.
"""

import json
from typing import Any

import jsonschema
import pytest

from streamcam.notifications.home_assistant import device_message
from streamcam.notifications.topics import Topics
from streamcam.types import CameraState

TEXT = {"type": "string", "minLength": 1}
TOPIC = {"type": "string", "pattern": r"^[^+#\x00/]+(/[^+#\x00/]+)+$"}
ICON = {"type": "string", "pattern": "^mdi:[a-z0-9-]+$"}

_COMMON = {
    "platform": TEXT,
    "name": TEXT,
    "unique_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    "icon": ICON,
    "entity_category": {"enum": ["config", "diagnostic"]},
    "qos": {"enum": [0, 1, 2]},
}


def platform(name: str, required: list[str], **fields: Any) -> dict[str, Any]:
    """Return the schema of a component of one platform."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["platform", "name", "unique_id", *required],
        "properties": _COMMON | {"platform": {"const": name}} | fields,
    }


COMPONENTS = [
    platform(
        "binary_sensor",
        ["state_topic"],
        state_topic=TOPIC,
        value_template=TEXT,
        device_class={"enum": ["motion", "occupancy", "presence", "problem", "running"]},
        payload_on=TEXT,
        payload_off=TEXT,
        expire_after={"type": "integer"},
        off_delay={"type": "integer"},
    ),
    platform(
        "sensor",
        ["state_topic"],
        state_topic=TOPIC,
        value_template=TEXT,
        device_class={"enum": ["enum", "timestamp", "duration"]},
        state_class={"enum": ["measurement", "total", "total_increasing"]},
        unit_of_measurement=TEXT,
        options={"type": "array", "items": TEXT, "uniqueItems": True},
    )
    | {
        # An enumeration has no unit and no statistics.
        "if": {"required": ["options"]},
        "then": {
            "properties": {
                "device_class": {"const": "enum"},
                "state_class": False,
                "unit_of_measurement": False,
            },
            "required": ["device_class"],
        },
    },
    platform(
        "switch",
        ["command_topic"],
        command_topic=TOPIC,
        state_topic=TOPIC,
        payload_on=TEXT,
        payload_off=TEXT,
        state_on=TEXT,
        state_off=TEXT,
        optimistic={"type": "boolean"},
        retain={"type": "boolean"},
    ),
    platform("image", ["image_topic"], image_topic=TOPIC, content_type=TEXT),
]

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["device", "origin", "components"],
    "properties": {
        "device": {
            "type": "object",
            "additionalProperties": False,
            "required": ["identifiers"],
            "properties": {
                "identifiers": {"type": "array", "items": TEXT, "minItems": 1},
                "name": TEXT,
                "manufacturer": TEXT,
                "model": TEXT,
                "sw_version": TEXT,
                "configuration_url": TEXT,
                "suggested_area": TEXT,
                "via_device": TEXT,
            },
        },
        "origin": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": TEXT, "sw_version": TEXT, "support_url": TEXT},
        },
        "components": {"type": "object", "additionalProperties": {"oneOf": COMPONENTS}},
        "availability_topic": TOPIC,
        "payload_available": TEXT,
        "payload_not_available": TEXT,
        "qos": {"enum": [0, 1, 2]},
    },
}

TOPICS = Topics("home/cams", "homeassistant")


def message(camera: str = "yard.1", *, recording: bool = True, snapshots: bool = True) -> Any:
    labels = {"person": "person", "sports_ball": "sports ball", "a_b": "a/\x1b[2Jb"}
    content = device_message(TOPICS, camera, labels, recording=recording, snapshots=snapshots)
    found = json.loads(content)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


@pytest.mark.parametrize("snapshots", [True, False])
@pytest.mark.parametrize("recording", [True, False])
def test_messages_have_the_fields_that_home_assistant_knows(
    recording: bool, snapshots: bool
) -> None:
    components = message(recording=recording, snapshots=snapshots)["components"]
    assert ("recordings" in components) == recording
    platforms = [component["platform"] for component in components.values()]
    assert platforms.count("image") == 3 * snapshots
    assert platforms.count("binary_sensor") == 3
    assert platforms.count("switch") == 1 + recording
    assert platforms.count("sensor") == 1 + 3


def test_a_camera_is_a_device_with_sensors_and_switches() -> None:
    found = message("yard", snapshots=False)
    assert found["device"]["name"] == "yard"
    assert found["availability_topic"] == "home/cams/available"
    assert (found["payload_available"], found["payload_not_available"]) == ("online", "offline")
    components = found["components"]
    assert components["enabled"]["command_topic"] == "home/cams/yard/enabled/set"
    assert components["enabled"]["state_topic"] == "home/cams/yard/enabled/state"
    assert components["recordings"]["command_topic"] == "home/cams/yard/recordings/set"
    assert components["status"]["options"] == [state.value for state in CameraState]
    ball = components["sports_ball_occupancy"]
    assert ball["state_topic"] == "home/cams/yard/sports_ball"
    assert ball["name"] == "Sports ball occupancy"
    assert components["sports_ball_count"]["state_topic"] == ball["state_topic"]


def test_names_are_shown_as_text() -> None:
    assert message()["components"]["a_b_count"]["name"] == "A/\\x1b[2jb count"


def test_identifiers_of_different_cameras_differ() -> None:
    ids = [
        component["unique_id"]
        for camera in ("a.b", "a_b", "a-b")
        for component in message(camera)["components"].values()
    ]
    assert len(set(ids)) == len(ids)
    devices = {message(camera)["device"]["identifiers"][0] for camera in ("a.b", "a_b")}
    assert len(devices) == 2
