"""Events of cameras: kept by the manager, ended with the camera or when it rests."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.events.event_store import FILE_NAME, ClipState, EventFilter, EventStore, StoredEvent
from streamcam.sinks.recording.naming import CLIP, event_file
from streamcam.types import Frame, FrameResult
from tests.cameras.conftest import GRACE, EventLog, TimedEngine, settings
from tests.processes import eventually
from tests.sinks.items import PERSON
from tests.sinks.live import decoded


@pytest.fixture
def somebody(engine: TimedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody stand before every camera."""
    explained = engine.postprocess

    def postprocess(outputs: Sequence[Frame]) -> list[FrameResult]:
        return [
            replace(result, detections=(PERSON,), new_shot=result.frame.discontinuity)
            for result in explained(outputs)
        ]

    monkeypatch.setattr(engine, "postprocess", postprocess)


def events_in(output: Path) -> Sequence[StoredEvent]:
    store = EventStore(output / FILE_NAME)
    try:
        return store.find(EventFilter(), 100)
    finally:
        store.close()


@pytest.mark.usefixtures("somebody")
def test_an_event_ends_with_its_camera_and_has_its_clip(
    manager: CameraManager, tmp_path: Path
) -> None:
    door = {"name": "door", "record": "always", "events": {"min_seconds": 0.5}}
    yard = {"name": "yard"}
    manager.reconcile(plans(settings(door, yard, output={"folder": tmp_path})))
    assert eventually(lambda: (store := manager.events.store()) and store.choices()["source"])
    manager.stop(GRACE)
    manager.events.stop()
    (event,) = events_in(tmp_path)
    assert (event.source, event.content["label"]) == ("door", "person")
    assert event.content["end"]["time"] >= 0.5
    assert event.clip is ClipState.READY
    assert len(decoded(event_file(tmp_path / "door", event.id, CLIP))) >= event.content["frames"]


@pytest.mark.usefixtures("somebody")
def test_a_camera_that_is_paused_ends_its_events(
    manager: CameraManager, observer: EventLog, tmp_path: Path
) -> None:
    door = {"name": "door", "events": {"min_seconds": 0.5}}
    manager.reconcile(plans(settings(door, output={"folder": tmp_path})))

    def events() -> Sequence[StoredEvent]:
        store = manager.events.store()
        return () if store is None else store.find(EventFilter(), 100)

    assert eventually(events)
    manager.pause("door", True)
    assert eventually(lambda: events()[0].content["end"])
    seen = len(observer.frames["door"])
    manager.pause("door", False)
    assert eventually(lambda: len(events()) == 2)
    newer, older = events()
    assert len(observer.frames["door"]) > seen
    assert newer.content["begin"]["time_utc"] > older.content["end"]["time_utc"]
    assert newer.content["track_id"] != older.content["track_id"]
    assert older.clip_note == "this camera's pictures are not recorded"
