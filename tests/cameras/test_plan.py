"""What a camera leaves out is filled in."""

from pathlib import Path
from typing import Any

import pytest

from streamcam.cameras.plan import CameraPlan, plans
from streamcam.config import load_settings
from streamcam.config.schema import Settings
from streamcam.sinks.base import SinkSettings
from streamcam.sources.live import Address, Timeouts


def settings(*cameras: dict[str, Any], **sections: dict[str, Any]) -> Settings:
    tables = {"camera": [{"name": "yard", "url": "demo://street", **c} for c in cameras]}
    return Settings.model_validate({**sections, **tables})


def plan(camera: dict[str, Any], **sections: dict[str, Any]) -> CameraPlan:
    (made,) = plans(settings(camera, **sections))
    return made


def test_a_cameras_sinks_are_those_of_all_and_its_own() -> None:
    class Webhook(SinkSettings):
        port: int = 1

    mine = plan(
        {"sinks": {"b": Webhook(port=3), "c": Webhook()}}, sinks={"a": Webhook(), "b": Webhook()}
    )
    assert mine.settings.sinks == {"a": Webhook(), "b": Webhook(port=3), "c": Webhook()}


def test_all_defaults() -> None:
    made = plan({})
    assert made.name == "yard"
    assert made.address == Address("demo://street")
    assert made.timeouts == Timeouts(opening=10.0, reading=10.0)
    assert made.frame_pixels == 36_000_000
    assert made.max_fps == 5.0
    assert made.record == "always"
    assert (made.ignore, made.publish) == ((), None)
    assert made.settings == load_settings(), "the cameras themselves belong to no plan"


def test_the_sections_hold_for_cameras_that_say_nothing_else() -> None:
    sections = {
        "live": {"max_fps": 2, "record": "never", "open_timeout": 3, "read_timeout": 4},
        "model": {"name": "nano", "confidence": 0.6, "classes": ["Person"]},
    }
    made = plan({}, **sections)
    assert (made.max_fps, made.record) == (2, "never")
    assert made.timeouts == Timeouts(opening=3, reading=4)
    assert made.settings.model.confidence == 0.6
    assert made.settings.model.classes == ("Person",)
    own = plan({"max_fps": 9, "record": "detections", "confidence": 0.0, "classes": []}, **sections)
    assert (own.max_fps, own.record) == (9, "detections")
    assert own.settings.model.confidence == 0.0, "nought is said, not left out"
    assert own.settings.model.classes == ()


def test_weights_belong_to_their_model() -> None:
    house = {"model": {"name": "nano", "weights": "house.pth", "labels": "house.txt"}}
    assert plan({}, **house).settings.model.weights == "house.pth"
    other = plan({"model": "ssdlite320_mobilenet_v3_large"}, **house).settings.model
    assert (other.name, other.weights, other.labels) == (
        "ssdlite320_mobilenet_v3_large",
        None,
        None,
    )
    own = plan({"model": "x", "weights": "w.pth", "labels": "l.txt"}, **house).settings.model
    assert (own.weights, own.labels) == ("w.pth", Path("l.txt"))


def test_only_what_is_enabled_is_planned_in_the_order_of_the_file() -> None:
    made = plans(
        settings(
            {"name": "b"}, {"name": "off", "enabled": False}, {"name": "a", "publish": "rtsp://x"}
        )
    )
    assert [each.name for each in made] == ["b", "a"]
    assert made[1].publish == "rtsp://x"


def test_a_plan_changes_with_what_it_is_made_of_and_with_nothing_else() -> None:
    both = settings({"name": "a"}, {"name": "b"})
    changed = settings({"name": "a"}, {"name": "b", "max_fps": 1})
    assert plans(both)[0] == plans(changed)[0]
    assert plans(both)[1] != plans(changed)[1]
    assert plan({}) != plan({}, live={"max_fps": 1})
    assert plan({}) == plan({}, http={"port": 1}, watch={"settle": 9}, retention={"max_age": 1})


def test_a_changed_limit_of_frames_is_another_plan() -> None:
    """The camera is connected again, with the new limit."""
    changed = plan({}, limits={"frame_pixels": "1MP"})
    assert changed.frame_pixels == 1_000_000
    assert changed != plan({}) == plan({}, limits={"pages": 7})


ZONE = {"name": "door", "points": [0, 0, 1, 1]}
LINE = {"name": "gate", "points": [0, 0, 1, 1]}


@pytest.mark.parametrize(
    ("camera", "sections", "on"),
    [
        ({}, {}, False),
        ({"track": True}, {}, True),
        ({}, {"tracking": {"enabled": True}}, True),
        ({"track": False}, {"tracking": {"enabled": True}}, False),
        ({"track": False, "zones": [ZONE]}, {}, True),
        ({"lines": [LINE]}, {}, True),
        ({"events": {}}, {}, True),
        ({}, {"events": {"enabled": True}}, True),
        ({}, {"tracking": {"zones": [ZONE]}}, False),
    ],
)
def test_a_camera_is_tracked_where_something_needs_it(
    camera: dict[str, Any], sections: dict[str, Any], *, on: bool
) -> None:
    """Zones of files are not a camera's."""
    assert (plan(camera, **sections).tracking is not None) is on


def test_a_camera_has_its_own_zones_and_the_common_times() -> None:
    made = plan({"zones": [ZONE], "lines": [LINE]}, tracking={"lost_after": 7, "zones": []})
    assert made.tracking is not None
    assert made.tracking.lost_after == 7
    assert [zone.name for zone in made.tracking.zones] == ["door"]
    assert [line.name for line in made.tracking.lines] == ["gate"]
