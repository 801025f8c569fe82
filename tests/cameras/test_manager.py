"""Cameras on one street: fair, bounded in their latency, and no trouble to each other.

The cameras are real (FFmpeg's test picture, each in a reader of its own); the engine's pace is the
test's, so that its share for each can be told.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamcam.cameras import camera as camera_room
from streamcam.cameras import engines as engines_module
from streamcam.cameras import manager as manager_module
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config.schema import Settings
from streamcam.errors import DeviceError, DeviceMemoryError, WeightsError, WeightsUnavailableError
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import build_engine
from streamcam.retry import RestartLimit
from streamcam.sinks.recording.retention import Retention, Swept
from streamcam.types import (
    CameraState,
    CameraStatus,
    Explanation,
    Frame,
    FrameResult,
)
from tests.clocks import ManualClock
from tests.processes import children, eventually

GRACE = 20.0


class TimedEngine:
    """Takes a fixed time for each frame; fails where it is set to.

    Attributes:
        pace: Seconds for a frame.
        errors: What a frame of a source brings about.
    """

    def __init__(self, pace: float = 0.0) -> None:
        self.pace = pace
        self.errors: dict[str, Exception] = {}
        self.description = SimpleNamespace(preset=0.5)
        self.forgotten: list[str] = []
        self.closed = False

    def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        return frames

    def forward(self, inputs: Sequence[Frame]) -> Sequence[Frame]:
        for frame in inputs:
            if error := self.errors.get(frame.source):
                raise error
        time.sleep(self.pace * len(inputs))
        return inputs

    def postprocess(self, outputs: Sequence[Frame]) -> list[FrameResult]:
        explanation = Explanation("stub", np.zeros((2, 2), np.float32), 1.0, None, (0.0, 0.0))
        return [FrameResult(frame, (), explanation) for frame in outputs]

    def lower_confidence(self, confidence: float) -> None:
        """Give no detections in any case."""

    def forget(self, source: str) -> None:
        self.forgotten.append(source)

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class ReceivedFrame:
    """What is remembered of an explained frame."""

    index: int
    time: float
    discontinuity: bool
    latency: float


class EventLog(Observer):
    """Keeps the events that it receives."""

    def __init__(self) -> None:
        self.frames: dict[str, list[ReceivedFrame]] = defaultdict(list)
        self.statuses: dict[str, list[CameraStatus]] = defaultdict(list)

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        frame = result.frame
        self.frames[frame.source].append(
            ReceivedFrame(frame.index, frame.time, frame.discontinuity, latency)
        )

    def camera_changed(self, status: CameraStatus) -> None:
        self.statuses[status.name].append(status)

    def states(self, name: str) -> list[CameraState]:
        return [status.state for status in self.statuses[name]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> TimedEngine:
    """The detector that every camera gets, but for those that bring weights."""
    made = TimedEngine()

    def build(settings: Settings, _: object) -> Any:
        return build_engine(settings) if settings.model.weights else made

    monkeypatch.setattr(engines_module, "build_engine", build)
    monkeypatch.setattr(camera_room, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(camera_room, "_LONGEST_PAUSE", 0.1)
    return made


@pytest.fixture
def observer() -> EventLog:
    return EventLog()


@pytest.fixture
def manager(engine: TimedEngine, observer: EventLog) -> Iterator[CameraManager]:
    processes = children()
    with CameraManager(Settings(), observer) as made:
        yield made
        made.stop(GRACE)
    assert not made.stuck
    assert children() <= processes
    assert engine.closed or not observer.frames


def settings(*cameras: dict[str, Any], rate: int = 25, **sections: Any) -> Settings:
    house = {"format": "lavfi", "record": "never", "max_fps": 1000}
    house["url"] = f"testsrc2=size=64x48:rate={rate}"
    return Settings.model_validate(
        {**sections, "camera": [{**house, **camera} for camera in cameras]}
    )


def assert_accounted(status: CameraStatus) -> None:
    """State that each frame that was decoded has its place."""
    counts = status.counts
    assert counts.decoded == counts.explained + sum(counts.dropped.values())
    assert all(count > 0 for count in counts.dropped.values())


def test_one_camera_comes_changes_and_goes_while_another_goes_on(
    manager: CameraManager, observer: EventLog, engine: TimedEngine
) -> None:
    a, b = {"name": "a", "max_fps": 20}, {"name": "b"}

    def run(*cameras: dict[str, Any]) -> None:
        manager.reconcile(plans(settings(*cameras)))

    def more(name: str) -> bool:
        known = len(observer.frames[name])
        return eventually(lambda: len(observer.frames[name]) > known + 2)

    run(a)
    assert more("a")
    first = manager.cameras[0]
    run(b, a)
    assert [camera.plan.name for camera in manager.cameras] == ["b", "a"]
    assert more("b")
    run(a, b | {"max_fps": 10})
    assert observer.states("b")[-1] is not CameraState.FAILED
    assert more("b")
    run(a)
    assert observer.states("b")[-1] is CameraState.STOPPED
    assert manager.preview("b") is None
    assert more("a")
    assert manager.cameras == [first]
    assert first.preview.latest is not None
    assert engine.forgotten == ["b", "b"]

    frames = observer.frames["a"]
    assert [frame.discontinuity for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert np.all(np.diff([frame.index for frame in frames]) > 0)
    assert max(np.diff([frame.time for frame in frames])) < 1.0
    assert [frame.discontinuity for frame in observer.frames["b"]].count(True) == 2
    manager.stop(GRACE)
    assert_accounted(first.status())


def test_what_a_kill_left_is_mended_though_the_camera_never_comes_back(
    manager: CameraManager, tmp_path: Path
) -> None:
    running = tmp_path / "a" / "2025-03-01" / "11" / "59-58.jsonl.part"
    running.parent.mkdir(parents=True)
    running.write_bytes(b'{"frame":0}\n{"fra')
    gone = {"name": "a", "format": None, "url": "rtsp://127.0.0.1:1/gone", "record": "always"}
    manager.reconcile(plans(settings(gone, output={"folder": tmp_path})))
    assert eventually(lambda: not running.exists())
    assert running.with_suffix("").read_bytes() == b'{"frame":0}\n'


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


def test_the_pipeline_has_the_clock_of_its_cameras(observer: EventLog) -> None:
    """A test that replaces time reaches the batcher too."""
    clock = ManualClock()
    manager = CameraManager(Settings(), observer, clock=clock)
    assert manager.pipeline._batcher._clock is clock  # type: ignore[attr-defined]


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


def test_a_broken_device_is_the_whole_fleets(
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


def test_many_cameras_share_the_engine_evenly(
    manager: CameraManager, observer: EventLog, engine: TimedEngine
) -> None:
    """Eight want 10 frames a second each, and there are 50 in all."""
    engine.pace = 0.02
    names = [f"cam{number}" for number in range(8)]
    manager.reconcile(plans(settings(*({"name": name} for name in names), rate=10)))
    assert eventually(lambda: all(len(observer.frames[name]) > 2 for name in names))
    before = {name: len(observer.frames[name]) for name in names}
    assert eventually(lambda: sum(map(len, observer.frames.values())) > sum(before.values()) + 120)
    counts = [len(observer.frames[name]) - before[name] for name in names]
    manager.stop(GRACE)
    assert max(counts) - min(counts) <= 0.2 * np.mean(counts)
    for status in manager.statuses():
        assert status.state is CameraState.STOPPED
        assert_accounted(status)
        assert status.counts.dropped["engine"] > 0
        assert status.reconnects == status.killed == 0


def test_the_latency_is_bounded_by_the_engines_pace(
    manager: CameraManager, observer: EventLog, engine: TimedEngine
) -> None:
    """A frame waits for one forward at most: what is newer takes its place."""
    engine.pace = 0.2
    manager.reconcile(plans(settings({"name": "a"}, rate=60)))
    assert eventually(lambda: len(observer.frames["a"]) > 15)
    manager.stop(GRACE)
    latencies = [frame.latency for frame in observer.frames["a"]]
    assert min(latencies) >= engine.pace
    assert np.percentile(latencies, 90) < 2 * engine.pace + 0.1
    gaps = np.diff([frame.index for frame in observer.frames["a"]])
    assert np.median(gaps) == pytest.approx(60 * engine.pace, abs=3)
    (status,) = manager.statuses()
    assert status.latency is not None
    assert status.latency.p50 == pytest.approx(np.median(latencies), abs=1e-6)
    assert_accounted(status)


def test_leaving_the_fleet_ends_its_cameras(
    engine: TimedEngine, observer: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they explain or pause."""
    engine.errors["odd"] = ValueError("odd")
    monkeypatch.setattr(camera_room, "_FIRST_PAUSE", 100.0)
    with CameraManager(Settings(), observer) as made:
        made.reconcile(plans(settings({"name": "a"}, {"name": "odd"})))
        assert eventually(
            lambda: observer.frames["a"] and CameraState.BACKING_OFF in observer.states("odd")
        )
    assert not any(camera.running for camera in made.cameras)
    assert engine.closed
    assert not [t for t in threading.enumerate() if t.name.startswith("streamcam")]


def test_a_long_sweep_of_old_recordings_holds_nothing_up(
    engine: TimedEngine, observer: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cameras are ended even when an exception leaves the manager without `stop`."""
    sweeping, done = threading.Event(), threading.Event()

    def sweep(_: Retention) -> Swept:
        sweeping.set()
        done.wait(30)
        return Swept()

    monkeypatch.setattr(Retention, "sweep", sweep)
    monkeypatch.setattr(manager_module, "_CANCEL_SECONDS", 0.1)
    try:
        with suppress(KeyboardInterrupt), CameraManager(Settings(), observer) as made:
            made.reconcile(plans(settings({"name": "a"})))
            assert eventually(lambda: observer.frames["a"])
            assert sweeping.wait(5)
            raise KeyboardInterrupt
        assert not made.stuck
        assert not any(camera.running for camera in made.cameras)
        assert engine.closed
    finally:
        done.set()
    assert eventually(lambda: not [t for t in threading.enumerate() if "retention" in t.name])


def test_a_generated_camera_ends_by_itself(manager: CameraManager, observer: EventLog) -> None:
    manager.reconcile(plans(settings({"name": "a", "url": "testsrc2=size=64x48:rate=25:d=0.4"})))
    assert eventually(lambda: not manager.cameras[0].running)
    (status,) = manager.statuses()
    assert status.state is CameraState.STOPPED
    assert status.error is None
    assert status.counts.decoded == 10
    assert status.counts.explained == len(observer.frames["a"])
    assert_accounted(status)
    assert (status.width, status.height, status.codec) == (64, 48, "wrapped_avframe")


@pytest.mark.usefixtures("engine")
def test_without_reconnection_a_loss_is_the_cameras_end(observer: EventLog) -> None:
    with CameraManager(Settings(), observer, reconnect=False) as made:
        made.reconcile(
            plans(settings({"name": "a", "format": None, "url": "rtsp://u:s3cret@127.0.0.1:1/x"}))
        )
        assert eventually(lambda: not made.cameras[0].running)
        (status,) = made.statuses()
    assert status.state is CameraState.FAILED
    assert (status.error or "").startswith("a: does not answer")
    assert status.url == "rtsp://127.0.0.1:1/x"
    assert "s3cret" not in repr(status) + repr(observer.statuses)
