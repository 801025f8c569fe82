"""Cameras on one street: fair, bounded in their latency, and no trouble to each other.

The cameras are real (FFmpeg's test picture, each in a reader of its own); the engine's pace is the
test's, so that its share for each can be told.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamcam.cameras import camera as camera_room
from streamcam.cameras import manager as manager_module
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config.schema import Settings
from streamcam.sinks.recording.retention import Retention, Swept
from streamcam.types import (
    CameraState,
)
from tests.cameras.conftest import GRACE, EventLog, TimedEngine, assert_accounted, settings
from tests.clocks import ManualClock
from tests.processes import eventually


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


def test_the_pipeline_has_the_clock_of_its_cameras(observer: EventLog) -> None:
    """A test that replaces time reaches the batcher too."""
    clock = ManualClock()
    manager = CameraManager(Settings(), observer, clock=clock)
    (pipeline,) = manager.devices.pipelines
    assert pipeline._batcher._clock is clock  # type: ignore[attr-defined]


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


def test_leaving_the_manager_ends_its_cameras(
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
