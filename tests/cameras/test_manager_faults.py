"""Faults of a camera's weights, its GPU or its frames: who fails, who waits, who goes on."""

from functools import partial
from typing import Any

import pytest

from streamcam.cameras import camera as camera_room
from streamcam.cameras import engines as engines_module
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config.schema import Settings
from streamcam.errors import DeviceError, DeviceMemoryError, WeightsError, WeightsUnavailableError
from streamcam.retry import RestartLimit
from streamcam.types import (
    CameraState,
)
from tests.cameras.conftest import EventLog, TimedEngine, assert_accounted, settings
from tests.processes import eventually


def test_a_camera_without_its_weights_fails_alone(
    manager: CameraManager, observer: EventLog
) -> None:
    """They may be on a disk that is not there yet, so they are tried again."""
    lost = {"name": "lost", "weights": "/no/such/weights.pth"}
    manager.reconcile(plans(settings(lost, {"name": "sound"})))
    assert eventually(lambda: observer.statuses["lost"] and len(observer.frames["sound"]) > 2)
    failed = observer.statuses["lost"][0]
    sound = manager.statuses()[1]
    assert failed.state is CameraState.BACKING_OFF
    assert failed.error == "there is no weights file /no/such/weights.pth"
    assert (failed.counts.decoded, failed.reconnects) == (0, 0)
    assert sound.state is CameraState.LIVE
    assert manager.fault is None
    assert CameraState.BACKING_OFF not in observer.states("sound")


def test_a_failed_camera_is_started_again_on_reload(
    manager: CameraManager, engine: TimedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are the same, what it lacked is there now."""
    damaged = True

    def build(_: Settings, __: object) -> Any:
        if damaged:
            raise WeightsError("these weights are damaged")
        return engine

    monkeypatch.setattr(engines_module, "build_engine", build)
    planned = plans(settings({"name": "a"}))
    manager.reconcile(planned)
    assert eventually(lambda: manager.cameras[0].failed)
    damaged = False
    manager.reconcile(planned)
    assert eventually(lambda: manager.statuses()[0].state is CameraState.LIVE)
    running = manager.cameras[0]
    manager.reconcile(planned)
    assert manager.cameras[0] is running, "a camera that runs is left alone"


def test_a_gpu_without_room_is_waited_for(
    manager: CameraManager, observer: EventLog, engine: TimedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else uses it may end; any other fault of the GPU is final."""
    tries: list[str] = []

    def build(_: Settings, __: object) -> Any:
        tries.append("load")
        if len(tries) < 8:
            raise DeviceMemoryError("the GPU has no room for nano")
        return engine

    monkeypatch.setattr(engines_module, "build_engine", build)
    manager.reconcile(plans(settings({"name": "a"})))
    assert eventually(lambda: manager.statuses()[0].state is CameraState.LIVE)
    assert len(tries) == 8, "more often than a camera may be restarted"
    assert CameraState.FAILED not in observer.states("a")


def test_weights_that_may_come_later_are_tried_again(
    manager: CameraManager, observer: EventLog, engine: TimedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def build(_: Settings, __: object) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise WeightsUnavailableError("nano: cannot be fetched", hint="Check the network.")
        return engine

    monkeypatch.setattr(engines_module, "build_engine", build)
    manager.reconcile(plans(settings({"name": "a"})))
    assert eventually(lambda: observer.frames["a"])
    paused = observer.statuses["a"][0]
    assert (paused.state, paused.error) == (CameraState.BACKING_OFF, "nano: cannot be fetched")
    assert paused.hint == "Check the network."
    assert observer.states("a")[:2] == [CameraState.BACKING_OFF] * 2
    (now,) = manager.statuses()
    assert (now.state, now.error) == (CameraState.LIVE, None)


def test_a_camera_that_breaks_the_engine_is_given_up_and_the_other_goes_on(
    manager: CameraManager, observer: EventLog, engine: TimedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_room, "RestartLimit", partial(RestartLimit, limit=2))
    engine.errors["odd"] = ValueError("a shape that nobody expected")
    manager.reconcile(plans(settings({"name": "odd"}, {"name": "sound"})))
    assert eventually(lambda: not manager.cameras[0].running)
    known = len(observer.frames["sound"])
    assert eventually(lambda: len(observer.frames["sound"]) > known + 3)
    odd, sound = manager.statuses()
    assert odd.state is CameraState.FAILED
    assert "given up: internal fault: ValueError: a shape that nobody expected" in (odd.error or "")
    assert observer.states("odd").count(CameraState.BACKING_OFF) == 2
    assert odd.reconnects == 2
    assert odd.counts.explained == 0
    assert odd.counts.dropped["fault"] >= 3
    assert_accounted(odd)
    assert [frame.discontinuity for frame in observer.frames["sound"]].count(True) == 1
    assert sound.state is CameraState.LIVE
    assert manager.fault is None


def test_a_broken_device_is_the_all_cameras(
    manager: CameraManager, observer: EventLog, engine: TimedEngine
) -> None:
    manager.reconcile(plans(settings({"name": "a"}, {"name": "b"})))
    assert eventually(lambda: observer.frames["a"] and observer.frames["b"])
    engine.errors["a"] = DeviceError("the GPU fell off the bus")
    assert eventually(lambda: not any(camera.running for camera in manager.cameras))
    assert manager.fault is engine.errors["a"]
    for status in manager.statuses():
        assert (status.state, status.error) == (CameraState.FAILED, "the GPU fell off the bus")
        assert_accounted(status)
