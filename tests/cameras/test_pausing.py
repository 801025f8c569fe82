"""Cameras that are paused and resumed, and recordings that rest."""

from pathlib import Path

import jsonschema
import orjson
import pytest

from streamcam import schemas
from streamcam.cameras import camera as camera_room
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.types import CameraState
from tests.cameras.conftest import GRACE, EventLog, TimedEngine, assert_accounted, settings
from tests.processes import eventually
from tests.service.running import unfinished


def state(manager: CameraManager, name: str = "a") -> CameraState:
    return next(status.state for status in manager.statuses() if status.name == name)


def test_a_paused_camera_is_disconnected_until_it_is_resumed(
    manager: CameraManager, observer: EventLog
) -> None:
    manager.reconcile(plans(settings({"name": "a"}, {"name": "b"})))
    assert eventually(lambda: observer.frames["a"] and observer.frames["b"])
    assert manager.pause("a", True)
    assert eventually(lambda: state(manager) is CameraState.PAUSED)
    assert manager.cameras[0]._stream.ended.is_set()  # type: ignore[union-attr]
    explained = len(observer.frames["a"])
    others = len(observer.frames["b"])
    assert eventually(lambda: len(observer.frames["b"]) > others + 5), "the other goes on"
    assert len(observer.frames["a"]) == explained
    assert manager.pause("a", False)
    assert eventually(lambda: len(observer.frames["a"]) > explained + 2)
    assert state(manager) is CameraState.LIVE
    states = observer.states("a")
    paused = states.index(CameraState.PAUSED)
    assert states.count(CameraState.PAUSED) == 1
    assert states[paused + 1] is CameraState.CONNECTING
    assert [frame.discontinuity for frame in observer.frames["a"]].count(True) == 2
    manager.stop(GRACE)
    assert_accounted(manager.statuses()[0])


def test_a_camera_stays_paused_when_its_plan_changes_but_not_when_it_comes_back(
    manager: CameraManager, observer: EventLog
) -> None:
    manager.reconcile(plans(settings({"name": "a"})))
    manager.pause("a", True)
    manager.reconcile(plans(settings({"name": "a", "max_fps": 10})))
    assert eventually(lambda: state(manager) is CameraState.PAUSED)
    assert manager.warm
    manager.reconcile([])
    manager.reconcile(plans(settings({"name": "a"})))
    before = len(observer.frames["a"])
    assert eventually(lambda: len(observer.frames["a"]) > before)


def test_pausing_and_resuming_at_once_does_not_end_a_camera(
    manager: CameraManager, observer: EventLog
) -> None:
    manager.reconcile(plans(settings({"name": "a"})))
    assert eventually(lambda: observer.frames["a"])
    for _ in range(20):
        manager.pause("a", True)
        manager.pause("a", False)
    before = len(observer.frames["a"])
    assert eventually(lambda: len(observer.frames["a"]) > before + 2)
    assert manager.cameras[0].running


def test_a_camera_that_waits_to_try_again_is_paused_and_resumed_at_once(
    manager: CameraManager,
    observer: EventLog,
    engine: TimedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera_room, "_FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(camera_room, "_LONGEST_PAUSE", 1000.0)
    engine.errors["a"] = ValueError("odd")
    manager.reconcile(plans(settings({"name": "a"})))
    assert eventually(lambda: state(manager) is CameraState.BACKING_OFF)
    manager.pause("a", True)
    assert eventually(lambda: state(manager) is CameraState.PAUSED)
    engine.errors.clear()
    manager.pause("a", False)
    assert eventually(lambda: observer.frames["a"])


def test_a_paused_camera_ends_with_the_others(manager: CameraManager) -> None:
    manager.reconcile(plans(settings({"name": "a"})))
    manager.pause("a", True)
    assert eventually(lambda: state(manager) is CameraState.PAUSED)
    manager.stop(GRACE)
    assert state(manager) is CameraState.STOPPED


def test_a_recording_that_rests_is_complete_and_goes_on(
    manager: CameraManager, observer: EventLog, tmp_path: Path
) -> None:
    def frames_of_segments() -> list[list[int]]:
        """Return the numbers of the recorded frames; each record follows its schema."""
        validator = jsonschema.Draft202012Validator(schemas.schema("record"))
        found = []
        for path in sorted(tmp_path.rglob("*.jsonl"), key=lambda path: path.stat().st_ctime_ns):
            records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
            for record in records:
                validator.validate(record)
            found.append([record["frame"] for record in records])
        return found

    recorded = {"name": "a", "record": "always"}
    manager.reconcile(plans(settings(recorded, output={"folder": tmp_path})))
    assert eventually(lambda: list(tmp_path.rglob("*.jsonl.part")))
    assert manager.record("a", False)
    assert eventually(lambda: list(tmp_path.rglob("*.mp4")) and not unfinished(tmp_path))
    (status,) = manager.statuses()
    assert (status.recording, status.state) == (False, CameraState.LIVE)
    assert observer.statuses["a"][-1].recording is False
    rested = observer.frames["a"][-1].index
    assert eventually(lambda: observer.frames["a"][-1].index > rested + 5)
    assert not unfinished(tmp_path)
    manager.record("a", True)
    assert eventually(lambda: list(tmp_path.rglob("*.jsonl.part")))
    assert observer.statuses["a"][-1].recording
    manager.pause("a", True)
    assert eventually(lambda: len(list(tmp_path.rglob("*.mp4"))) == 2), "a pause completes it"
    manager.stop(GRACE)
    first, second = frames_of_segments()
    assert first[-1] <= rested < rested + 5 < second[0]


def test_a_recording_rests_in_a_camera_with_another_plan_too(
    manager: CameraManager, observer: EventLog, tmp_path: Path
) -> None:
    recorded = {"name": "a", "record": "always"}
    manager.reconcile(plans(settings(recorded, output={"folder": tmp_path})))
    manager.record("a", False)
    manager.reconcile(plans(settings(recorded | {"max_fps": 10}, output={"folder": tmp_path})))
    known = len(observer.frames["a"])
    assert eventually(lambda: len(observer.frames["a"]) > known + 3)
    (status,) = manager.statuses()
    assert status.recording is False
    assert not unfinished(tmp_path)


def test_who_has_no_recording_has_none_that_rests(manager: CameraManager) -> None:
    manager.reconcile(plans(settings({"name": "a"})))
    assert manager.statuses()[0].recording is None
    assert not manager.pause("nobody", True)
    assert not manager.record("nobody", False)
