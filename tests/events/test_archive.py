"""What is kept of events: rows, lines, stills, and clips of real recordings."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import orjson
import pytest

from streamcam import schemas
from streamcam.clock import Clock
from streamcam.config.event_schema import EventSettings
from streamcam.events import archive as archive_module
from streamcam.events.archive import EventArchive, KeptCamera
from streamcam.events.event_store import FILE_NAME, ClipState, EventFilter, EventStore, StoredEvent
from streamcam.events.finder import EventFinder
from streamcam.render import Style
from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, HEAT_STILL, STILL, event_file
from streamcam.sinks.recording.recorder import RecordingSettings, SegmentRecorder
from streamcam.types import FrameResult
from tests.media import number_of
from tests.processes import eventually
from tests.sinks.items import PERSON
from tests.sinks.live import START, decoded, live, shown

RULE = EventSettings(pre_roll=1, post_roll=1)
SEGMENT = 4.0


class SetClock(Clock):
    """Its wall clock stands still until it is set."""

    def __init__(self) -> None:
        self.now = START

    def utc(self) -> datetime:
        return self.now


class Scene:
    """A camera that records and finds events, frame by frame, and an archive that keeps them."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "out"
        self.folder = self.output / "door"
        self.clock = SetClock()
        self.finder = EventFinder("door", RULE, 3.0, self.clock)
        encoder = EncoderSettings(encoder="libx264", threads=1)
        self.recorder = SegmentRecorder(
            self.folder, RecordingSettings(segment=SEGMENT, encoder=encoder)
        )
        self.archive = self.new_archive()
        self.records = True
        self.frames = 0

    def new_archive(self, segment: float | None = SEGMENT) -> EventArchive:
        made = EventArchive(self.clock)
        made.configure(self.output, {"door": KeptCamera(self.folder, RULE, Style(), segment)})
        return made

    def show(self, count: int, *, someone: bool) -> None:
        for index in range(self.frames, self.frames + count):
            result = tracked(live(index, index / 5, found=someone))
            self.clock.now = START + timedelta(seconds=index / 5)
            if self.records:
                self.recorder.write(result, shown(index))
            for change in self.finder.update(result):
                self.archive.event_changed(change)
        self.frames += count

    def kept(self) -> Sequence[StoredEvent]:
        store = self.archive.store()
        return () if store is None else store.find(EventFilter(), 100)

    def file(self, event: StoredEvent, ending: str) -> Path:
        return event_file(self.folder, event.id, ending)

    def event(self, clip: ClipState | None = None) -> StoredEvent:
        """Wait for the only event, or until its clip is in some state, and return it."""
        assert eventually(lambda: [e for e in self.kept() if clip is None or e.clip is clip])
        (event,) = self.kept()
        return event

    def someone_comes_and_goes(self) -> None:
        """Show an object from 3 s to 7.8 s; its end is told when it has been gone for 3 s."""
        self.show(15, someone=False)
        self.show(25, someone=True)
        self.show(17, someone=False)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(archive_module, "_PERIOD_SECONDS", 0.02)
    monkeypatch.setattr(archive_module, "_RETRY_SECONDS", 0.02)
    made = Scene(tmp_path)
    yield made
    made.recorder.abort()
    made.archive.stop()
    assert not [t for t in threading.enumerate() if t.name == "streamcam events"]


def tracked(result: FrameResult) -> FrameResult:
    detections = tuple(replace(each, track_id=1) for each in result.detections)
    return replace(result, detections=detections)


def seen_in(path: Path) -> list[int]:
    return [number_of(frame.to_ndarray(format="rgb24")) for frame in decoded(path)]


def test_an_event_is_kept_while_it_lasts(scene: Scene) -> None:
    scene.show(15, someone=False)
    scene.show(10, someone=True)
    event = scene.event()
    assert (event.content["end"], event.clip) == (None, ClipState.PENDING)
    assert event.content["begin"]["frame"] == 15


def test_its_stills_are_the_best_frame_with_heat_and_without(scene: Scene) -> None:
    scene.someone_comes_and_goes()
    event = scene.event()
    assert eventually(scene.file(event, HEAT_STILL).exists)
    plain, heat = (cv2.imread(str(scene.file(event, end))) for end in (STILL, HEAT_STILL))
    assert plain is not None
    assert heat is not None
    assert number_of(cv2.cvtColor(plain, cv2.COLOR_BGR2RGB)) == event.content["best"]["frame"]
    assert plain.shape == heat.shape
    assert np.abs(plain.astype(int) - heat).max() > 100, "there is a box on the one with heat"


def test_a_still_with_heat_shows_the_box_of_its_own_object_alone(scene: Scene) -> None:
    def with_another(result: FrameResult) -> FrameResult:
        box = (50.0, 30.0, 62.0, 46.0)
        own = tracked(result)
        return replace(own, detections=(*own.detections, replace(PERSON, box=box, track_id=2)))

    for index in range(10):
        for change in scene.finder.update(with_another(live(index, index / 5))):
            scene.archive.event_changed(change)
    assert eventually(lambda: len(list(scene.folder.rglob(f"*{HEAT_STILL}"))) == 2)
    first, second = (
        np.asarray(cv2.imread(str(scene.file(event, HEAT_STILL))), int) for event in scene.kept()
    )
    changed = np.abs(first - second).max(axis=2) > 60
    assert changed[:, :40].any(), "the box of one object is on one picture"
    assert changed[:, 46:].any(), "that of the other on the other"


def test_its_line_stands_in_the_hour_of_its_end(scene: Scene) -> None:
    scene.someone_comes_and_goes()
    path = scene.folder / "2025-03-01" / "12" / "events.jsonl"
    assert eventually(path.exists)
    (line,) = path.read_bytes().splitlines()
    event = orjson.loads(line)
    jsonschema.Draft202012Validator(schemas.schema("event")).validate(event)
    assert event["end"]["frame"] == 39
    assert event == scene.event().content


def test_its_clip_is_cut_when_the_segment_of_its_end_is_published(scene: Scene) -> None:
    scene.someone_comes_and_goes()
    assert scene.event().clip is ClipState.PENDING
    scene.show(10, someone=False)
    event = scene.event(ClipState.READY)
    assert seen_in(scene.file(event, CLIP)) == [*range(10, 45)], "a second before and after"
    assert len(scene.file(event, CLIP_RECORDS).read_bytes().splitlines()) == 35
    assert event.as_json()["clip_begin"] == "2025-03-01T12:00:00.250Z"


def test_at_the_end_of_the_recording_the_clip_is_what_there_is(scene: Scene) -> None:
    scene.show(15, someone=False)
    scene.show(20, someone=True)
    for change in scene.finder.end():
        scene.archive.event_changed(change)
    scene.recorder.finish()
    scene.archive.stop()
    store = EventStore(scene.output / FILE_NAME)
    (event,) = store.find(EventFilter(), 10)
    store.close()
    assert event.clip is ClipState.READY
    assert seen_in(scene.file(event, CLIP)) == [*range(10, 35)]


def test_what_a_killed_process_left_is_ended_and_gets_its_clip(scene: Scene) -> None:
    scene.show(15, someone=False)
    scene.show(20, someone=True)
    running = scene.event()
    scene.archive.stop()  # the end of the event is never told
    scene.archive = scene.new_archive()
    assert eventually(lambda: scene.event().content["end"])
    scene.recorder.finish()
    scene.clock.now += timedelta(minutes=2)
    event = scene.event(ClipState.READY)
    assert event.id == running.id
    assert event.content["end"]["frame"] == 20, "the last frame that was told"
    assert seen_in(scene.file(event, CLIP)) == [*range(10, 26)]


def test_clips_that_were_due_are_cut_after_a_restart(scene: Scene) -> None:
    scene.someone_comes_and_goes()
    scene.event()
    scene.archive.stop()
    store = EventStore(scene.output / FILE_NAME)
    (event,) = store.find(EventFilter(), 10)
    store.set_clip(event.id, ClipState.PENDING)
    store.close()
    scene.show(10, someone=False)
    scene.archive = scene.new_archive()
    assert seen_in(scene.file(scene.event(ClipState.READY), CLIP)) == [*range(10, 45)]


def test_without_a_recording_there_is_no_clip_and_it_is_told(scene: Scene) -> None:
    scene.archive.configure(
        scene.output, {"door": KeptCamera(scene.folder, RULE, Style(), segment=None)}
    )
    scene.someone_comes_and_goes()
    assert scene.event(ClipState.NONE).clip_note == "this camera's pictures are not recorded"


def test_a_recording_that_has_a_hole_there_is_waited_for_and_told(scene: Scene) -> None:
    scene.records = False
    scene.someone_comes_and_goes()
    scene.event()
    scene.clock.now += timedelta(seconds=SEGMENT + 15)
    assert scene.event(ClipState.NONE).clip_note == "nothing was recorded at that time"


def test_events_wait_for_a_store_that_cannot_be_used(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.archive.stop()
    for path in scene.output.glob(f"{FILE_NAME}*"):
        path.unlink()
    blocker = scene.output / FILE_NAME
    blocker.mkdir(parents=True)
    scene.archive = scene.new_archive()
    scene.someone_comes_and_goes()
    assert eventually(lambda: "events are not kept" in caplog.text)
    blocker.rmdir()
    assert eventually(lambda: scene.kept() and scene.event().content["end"])
    assert caplog.text.count("events are not kept") == 1


def test_old_events_leave_the_store(scene: Scene) -> None:
    scene.archive.max_age = 3600
    scene.someone_comes_and_goes()
    scene.show(10, someone=False)
    scene.event(ClipState.READY)
    scene.archive.stop()
    scene.archive = scene.new_archive()
    scene.archive.max_age = 3600
    scene.clock.now += timedelta(seconds=3700)
    assert eventually(lambda: not scene.kept())
