"""Several engines: who gets the jobs, and what becomes of them when a device fails."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, DeviceMemoryError, UsageError
from streamcam.observer import Observer
from streamcam.pipeline import engine_pool, engine_provider
from streamcam.pipeline.engine_pool import EnginePool, chosen_devices, make_engine_provider
from streamcam.pipeline.engine_provider import LazyEngineProvider, build_engine, on_device
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.file_run import Run
from streamcam.sinks.manifest import read_manifest
from streamcam.sources.inputs import Entry, Inputs
from streamcam.types import JobReport, Outcome
from streamcam.vision.engine_io import EngineDescription
from tests.media import numbered, write_video
from tests.pipeline.stub_engine import RecordingEngine

DEVICES = ("cuda:0", "cuda:1")
DESCRIPTION = {
    "model": "stub",
    "weights": "none",
    "weights_sha256": None,
    "classes": {1: "thing"},
    "method": "eigencam",
    "precision": "fp32",
    "confidence": 0.5,
    "grid": "fine",
    "batch": 2,
    "versions": {},
    "preset": 0.5,
}


class DeviceEngine(RecordingEngine):
    """An engine that tells which device it is on."""

    batch = 2

    def __init__(self, device: str, error: Exception | None = None, fail_at: int = 0) -> None:
        super().__init__(error, fail_at)
        self.description = EngineDescription(device=device, **DESCRIPTION)
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Devices:
    """The engines that are built, by device, and what goes wrong with them."""

    def __init__(self) -> None:
        self.unbuildable: dict[str, DeviceError] = {}
        self.faults: dict[str, tuple[DeviceError, int]] = {}
        self.built: dict[str, DeviceEngine] = {}

    def build(self, settings: Settings, _: object) -> Any:
        device = settings.model.device
        if device in self.unbuildable:
            raise self.unbuildable[device]
        self.built[device] = DeviceEngine(device, *self.faults.get(device, ()))
        return self.built[device]


class Remarks(Observer):
    def __init__(self) -> None:
        self.remarks: list[str] = []
        self.ended: list[JobReport] = []

    def file_remarked(self, source: str, remark: str) -> None:
        self.remarks.append(f"{Path(source).name}: {remark}")

    def file_ended(self, report: JobReport) -> None:
        self.ended.append(report)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    made = Devices()
    monkeypatch.setattr(engine_provider, "build_engine", made.build)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "model": {"device": "cuda:0,cuda:1"},
            "output": {"folder": tmp_path / "out", "video": "off", "workers": 1},
            "sampling": {"every": 1},
        }
    )


@pytest.fixture
def pool(settings: Settings, devices: Devices) -> Iterator[EnginePool]:
    providers = [(one, LazyEngineProvider(on_device(settings, one))) for one in DEVICES]
    with EnginePool(providers) as made:
        yield made
    assert all(engine.closed for engine in devices.built.values())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", numbered(6))


def entry(clip: Path) -> Entry:
    return Entry(str(clip), clip.stem)


def made_on(settings: Settings, stem: str) -> str:
    """Return the device that a source's results were made on."""
    manifest = read_manifest(settings.output.folder / f"{stem}.manifest.json")
    assert manifest is not None
    assert manifest.complete
    return str(manifest.content["engine"]["device"])


def test_each_job_gets_the_engine_with_the_fewest(pool: EnginePool, devices: Devices) -> None:
    with pool.lease() as first, pool.lease() as second:
        assert first is not second
        for engine in (first, second):
            engine.pipeline()
        assert list(devices.built) == ["cuda:0", "cuda:1"]
        with pool.lease() as third:
            assert third is first
    with pool.lease() as again:
        assert again is first


def test_an_engine_is_built_when_a_job_comes_to_it(pool: EnginePool, devices: Devices) -> None:
    pool.pipeline()
    assert list(devices.built) == ["cuda:0"]


def test_a_job_is_done_anew_on_another_device_when_its_own_fails(
    pool: EnginePool,
    devices: Devices,
    settings: Settings,
    clip: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    devices.faults["cuda:0"] = DeviceError("the GPU failed: bus"), 2
    observer = Remarks()
    report = Job(entry(clip), settings, pool, observer, Clock()).run()
    assert report.outcome is Outcome.DONE
    assert report.counts.explained == 6
    assert observer.ended == [report]
    assert observer.remarks == ["clip.mp4: its device failed; explaining it anew with another one"]
    assert len(devices.built["cuda:0"].batches) == 2
    assert made_on(settings, "clip") == "cuda:1"
    lines = (settings.output.folder / "clip.detections.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["frame"] for line in lines] == list(range(6))
    assert not list(settings.output.folder.glob("*.part"))
    assert "cuda:0 failed: the GPU failed: bus; going on with cuda:1" in caplog.text
    with pool.lease() as one, pool.lease() as other:
        assert one is other, "the failed one gets no more"


def test_where_all_devices_fail_the_job_fails_as_with_one(
    pool: EnginePool,
    devices: Devices,
    settings: Settings,
    clip: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for device in ("cuda:0", "cuda:1"):
        devices.faults[device] = DeviceError(f"{device} is gone"), 0
    report = Job(entry(clip), settings, pool, Observer(), Clock()).run()
    assert report.outcome is Outcome.FAILED
    assert report.error == "cuda:1 is gone"
    assert report.exit_code == 70
    assert "no device is left" in caplog.text
    again = Job(entry(clip), settings, pool, Observer(), Clock()).run()
    assert isinstance(again.cause, DeviceError)


def test_a_device_without_room_for_the_model_is_left_out(
    pool: EnginePool, devices: Devices, settings: Settings, clip: Path
) -> None:
    devices.unbuildable["cuda:0"] = DeviceMemoryError("the GPU has no room for stub")
    assert Job(entry(clip), settings, pool, Observer(), Clock()).run().outcome is Outcome.DONE
    assert made_on(settings, "clip") == "cuda:1"
    assert pool.pipeline() is pool._members[1].provider.pipeline()


def test_the_key_is_told_by_an_engine_that_can_be_built(
    devices: Devices, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_provider, "expected_key", lambda _: None)
    devices.unbuildable["cuda:0"] = DeviceMemoryError("the GPU has no room for stub")
    with EnginePool([(d, LazyEngineProvider(on_device(settings, d))) for d in DEVICES]) as pool:
        assert pool.key() == pool.provenance().key
        assert list(devices.built) == ["cuda:1"]


def test_where_no_engine_can_be_built_that_is_raised(
    pool: EnginePool, devices: Devices, settings: Settings, clip: Path
) -> None:
    for device in ("cuda:0", "cuda:1"):
        devices.unbuildable[device] = DeviceMemoryError(f"{device} is full")
    with pytest.raises(DeviceMemoryError, match="cuda:1 is full"):
        Job(entry(clip), settings, pool, Observer(), Clock()).run()


def test_a_run_keeps_every_device_busy(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker asked for there are two, and each device's first forward meets the other."""
    meet = threading.Barrier(2, timeout=20)

    class Meeting(DeviceEngine):
        def forward(self, inputs: Any) -> Any:
            if not self.batches:
                meet.wait()
            return super().forward(inputs)

    monkeypatch.setattr(
        engine_provider, "build_engine", lambda settings, _: Meeting(settings.model.device)
    )
    monkeypatch.setattr(engine_pool, "chosen_devices", lambda of: of.model.devices)
    clips = [write_video(tmp_path / f"{name}.mp4", numbered(4)) for name in "ab"]
    reports = list(Run(settings, Observer()).explain([entry(clip) for clip in clips]))
    assert [report.outcome for report in reports] == [Outcome.DONE] * 2
    assert {made_on(settings, name) for name in "ab"} == {"cuda:0", "cuda:1"}


def test_one_device_needs_no_pool() -> None:
    single = Settings.model_validate({"model": {"device": "cpu"}})
    assert isinstance(make_engine_provider(single), LazyEngineProvider)
    twice = Settings.model_validate({"model": {"device": ["cpu", "cpu"]}})
    assert isinstance(make_engine_provider(twice), EnginePool)


def test_all_are_the_gpus_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    every = Settings.model_validate({"model": {"device": "all"}})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert chosen_devices(every) == ["cuda:0", "cuda:1", "cuda:2"]
    absent = Settings.model_validate({"model": {"device": "cuda:2,cuda:3"}})
    with pytest.raises(DeviceError, match="'cuda:3' was asked for, and there are 3 GPUs here"):
        make_engine_provider(absent)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="finds no CUDA GPU here"):
        make_engine_provider(every)


def test_a_single_engine_is_not_for_several_devices(settings: Settings) -> None:
    with pytest.raises(UsageError, match="one device is wanted here") as raised:
        build_engine(settings)
    assert raised.value.hint == "Several are for run (without --ray), watch and serve."


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda:0",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
            ],
        ),
    ],
)
def test_two_real_engines_give_what_one_gives(tmp_path: Path, device: str) -> None:
    scenes = [f"demo://street?seconds=0.6&width=320&height=180&seed={seed}" for seed in (1, 2)]

    def records(devices: list[str], folder: Path) -> dict[str, bytes]:
        # Frames that share a batch, and other precisions, are rounded differently.
        model = {"device": devices, "batch": 1, "precision": "fp32"}
        chosen = Settings.model_validate(
            {"model": model, "output": {"folder": folder, "video": "off"}}
        )
        reports = list(Run(chosen, Observer()).explain(Inputs(scenes)))
        assert [report.outcome for report in reports] == [Outcome.DONE] * 2
        return {path.name: path.read_bytes() for path in folder.glob("*.detections.jsonl")}

    assert records([device, device], tmp_path / "two") == records([device], tmp_path / "one")
