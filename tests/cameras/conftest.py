"""A camera manager around an engine that takes a fixed time, and what it reported."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from streamcam.cameras import camera as camera_room
from streamcam.cameras import engines as engines_module
from streamcam.cameras.manager import CameraManager
from streamcam.config.schema import Settings
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import build_engine
from streamcam.types import (
    CameraState,
    CameraStatus,
    Explanation,
    Frame,
    FrameResult,
)
from streamcam.vision.engine_io import EngineDescription
from tests.processes import children

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
        self.description = EngineDescription(
            model="stub",
            weights="none",
            weights_sha256=None,
            classes={},
            method="stub",
            device="cpu",
            precision="fp32",
            confidence=0.5,
            grid="2x2",
            batch=1,
            versions={},
        )
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
