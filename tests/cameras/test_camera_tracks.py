"""A camera's objects are tracked before anything else gets its results."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.regions import ZoneCounts
from streamcam.types import Detection, Focus, Frame, FrameResult
from tests.cameras.conftest import GRACE, TimedEngine, settings
from tests.processes import eventually

PERSON = Detection("person", 1, 0.9, (10.0, 10.0, 30.0, 40.0), Focus(0.5, 2.0, peak_inside=True))
LEFT = {"name": "left", "points": [0, 0, 0.5, 1]}
RIGHT = {"name": "right", "points": [0.5, 0, 1, 1]}


@pytest.fixture
def seeing(engine: TimedEngine, monkeypatch: pytest.MonkeyPatch) -> TimedEngine:
    """The engine, which finds a person in every frame."""
    made = engine.postprocess

    def postprocess(outputs: Sequence[Frame]) -> list[FrameResult]:
        return [
            replace(result, detections=(PERSON,), new_shot=result.frame.discontinuity)
            for result in made(outputs)
        ]

    monkeypatch.setattr(engine, "postprocess", postprocess)
    return engine


def number(manager: CameraManager) -> int | None:
    """The number of the person in the newest result of the only camera."""
    (camera,) = manager.cameras
    latest = camera.preview.latest
    return None if latest is None else latest.result.detections[0].track_id


@pytest.mark.usefixtures("seeing")
def test_objects_have_numbers_and_zones_and_none_goes_on_over_a_new_connection(
    manager: CameraManager,
) -> None:
    manager.reconcile(plans(settings({"name": "a", "zones": [LEFT, RIGHT]})))
    assert eventually(lambda: number(manager) == 1)
    (camera,) = manager.cameras
    latest = camera.preview.latest
    assert latest is not None
    assert latest.result.detections[0].zones == ("left",)
    assert camera.status().regions.zones["left"].objects == 1
    camera.pause()
    camera.resume()
    assert eventually(lambda: number(manager) == 2)
    zones = camera.status().regions.zones
    assert zones["right"] == ZoneCounts(0, {}, {})
    assert (zones["left"].objects, zones["left"].visits) == (1, {"person": 1})
    manager.stop(GRACE)


@pytest.mark.usefixtures("seeing")
def test_without_it_nothing_is_tracked(manager: CameraManager) -> None:
    manager.reconcile(plans(settings({"name": "a"})))
    (camera,) = manager.cameras
    assert eventually(lambda: camera.preview.latest is not None)
    assert number(manager) is None
    assert camera.status().regions.zones == {}
    manager.stop(GRACE)
