"""Cameras on several devices: how they are spread, and what becomes of those of a failed one."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from streamcam.cameras import device_pipelines
from streamcam.cameras import engines as engines_module
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.clock import Clock
from streamcam.config.schema import Settings
from streamcam.errors import DeviceError
from streamcam.observer import Observer
from streamcam.pipeline.file_job import Job
from streamcam.sources.inputs import Entry
from streamcam.types import CameraState, Outcome
from tests.cameras.conftest import GRACE, EventLog, TimedEngine, settings
from tests.media import numbered, write_video
from tests.processes import eventually

DEVICES = ["cuda:0", "cuda:1"]
BROKEN = DeviceError("the GPU fell off the bus")


class FailingEngine(TimedEngine):
    """Fails for all sources once it is told to."""

    broken = False

    def forward(self, inputs: Any) -> Any:
        if self.broken:
            raise BROKEN
        return super().forward(inputs)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, FailingEngine]:
    """The engine of each device."""
    made: defaultdict[str, FailingEngine] = defaultdict(FailingEngine)

    def build(of: Settings, _: object) -> Any:
        return made[of.model.device]

    monkeypatch.setattr(engines_module, "build_engine", build)
    monkeypatch.setattr(device_pipelines, "chosen_devices", lambda _: DEVICES)
    return made


def several(*cameras: dict[str, Any], **sections: Any) -> Settings:
    return settings(*cameras, model={"device": DEVICES}, **sections)


@pytest.fixture
def spread(engines: dict[str, FailingEngine], observer: EventLog) -> Iterator[CameraManager]:
    del engines
    with CameraManager(several(), observer) as made:
        yield made
        made.stop(GRACE)


def places(manager: CameraManager) -> dict[str, str | None]:
    return {camera.plan.name: camera.device.device for camera in manager.cameras}


def all_ended(manager: CameraManager) -> bool:
    return not any(camera.running for camera in manager.cameras)


def test_cameras_are_spread_evenly_and_stay_where_they_are(
    spread: CameraManager, engines: dict[str, FailingEngine], observer: EventLog
) -> None:
    spread.reconcile(plans(several(*({"name": name} for name in "abcd"))))
    before = places(spread)
    assert sorted(before.values()) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    assert eventually(lambda: all(observer.frames[name] for name in "abcd"))
    assert sorted(engines) == DEVICES
    spread.reconcile(plans(several(*({"name": name} for name in "bcdef"))))
    after = places(spread)
    assert {name: after[name] for name in "bcd"} == {name: before[name] for name in "bcd"}
    assert abs(list(after.values()).count("cuda:0") - list(after.values()).count("cuda:1")) == 1


def test_cameras_of_a_failed_device_go_on_on_another(
    spread: CameraManager,
    engines: dict[str, FailingEngine],
    observer: EventLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spread.reconcile(plans(several({"name": "a"}, {"name": "b"}, {"name": "c"})))
    assert eventually(lambda: all(observer.frames[name] for name in "abc"))
    moved = [name for name, device in places(spread).items() if device == "cuda:0"]
    assert spread.devices.up() == {"cuda:0": True, "cuda:1": True}
    engines["cuda:0"].broken = True
    assert eventually(lambda: all(one.failed for one in spread.cameras if one.plan.name in moved))
    assert spread.fault is None, "there is another device"
    spread.leave_failed_devices()
    assert set(places(spread).values()) == {"cuda:1"}
    known = {name: len(observer.frames[name]) for name in "abc"}
    assert eventually(lambda: all(len(observer.frames[n]) > known[n] + 2 for n in known))
    assert all(status.state is CameraState.LIVE for status in spread.statuses())
    assert spread.devices.up() == {"cuda:0": False, "cuda:1": True}
    assert "cuda:0 failed: the GPU fell off the bus; going on with cuda:1" in caplog.text
    assert spread.fault is None
    engines["cuda:1"].broken = True
    assert eventually(lambda: all_ended(spread))
    spread.leave_failed_devices()
    assert spread.fault is BROKEN, "as with a single device: a new process is needed"


def test_a_paused_camera_stays_paused_on_another_device(
    spread: CameraManager, engines: dict[str, FailingEngine], observer: EventLog
) -> None:
    spread.reconcile(plans(several({"name": "a"})))
    assert eventually(lambda: observer.frames["a"])
    engines["cuda:0"].broken = True
    assert eventually(lambda: all_ended(spread))
    spread.pause("a", True)
    spread.leave_failed_devices()
    assert eventually(lambda: spread.statuses()[0].state is CameraState.PAUSED)
    assert places(spread) == {"a": "cuda:1"}


def test_files_share_the_devices_and_outlive_a_failed_one(
    spread: CameraManager, engines: dict[str, FailingEngine], tmp_path: Path
) -> None:
    chosen = several(output={"folder": tmp_path / "out", "video": "off"}, sampling={"every": 1})
    provider = spread.devices.file_engine_provider(chosen)
    assert provider.engines == 2
    engines["cuda:0"].broken = True
    clip = write_video(tmp_path / "clip.mp4", numbered(4))
    report = Job(Entry(str(clip), "clip"), chosen, provider, Observer(), Clock()).run()
    assert (report.outcome, report.counts.explained) == (Outcome.DONE, 4)
    provider.close()


def test_two_real_engines_on_the_cpu(observer: EventLog) -> None:
    twice = settings({"name": "a"}, {"name": "b"}, rate=5, model={"device": "cpu,cpu"})
    with CameraManager(twice, observer) as manager:
        manager.reconcile(plans(twice))
        assert eventually(lambda: observer.frames["a"] and observer.frames["b"])
        first, second = (camera.device for camera in manager.cameras)
        assert first is not second
        for camera in manager.cameras:
            made_with = camera.device.engines.provenance(camera.plan.name)
            assert made_with.device == made_with.settings["model"]["device"] == "cpu"
        manager.stop(GRACE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_two_real_engines_on_a_gpu(observer: EventLog) -> None:
    both = settings({"name": "a"}, {"name": "b"}, rate=5, model={"device": "cuda:0,cuda:0"})
    with CameraManager(both, observer) as manager:
        manager.reconcile(plans(both))
        assert eventually(lambda: observer.frames["a"] and observer.frames["b"])
        for camera in manager.cameras:
            made_with = camera.device.engines.provenance(camera.plan.name)
            assert made_with.device.startswith("cuda:0 (")
        manager.stop(GRACE)
