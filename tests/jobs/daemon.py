"""The real command, files, decoder and encoder around an engine that costs nothing.

Loading a real one takes seconds in which nothing happens; a soak would kill little else.
Variables: STUB_LOAD and STUB_FRAME are seconds that loading and each frame take. A file with
"poison" in its name crashes the process as a native decoder would. The GPU fails for good once the
file STUB_GPU is missing.
"""

import faulthandler
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from streamcam.cameras import engines
from streamcam.cli.app import main as command
from streamcam.errors import DeviceError
from streamcam.pipeline import engine_provider as lazy
from streamcam.types import Detection, Explanation, Focus, Frame, FrameResult

LOAD = float(os.environ.get("STUB_LOAD", "0"))
FRAME = float(os.environ.get("STUB_FRAME", "0"))
GPU = Path(os.environ.get("STUB_GPU", "/dev/null"))


class StubEngine:
    batch = 4
    description = SimpleNamespace(
        model="stub",
        classes={1: "person"},
        method="eigencam",
        device="cpu",
        weights_sha256=None,
        labels_sha256=None,
        quantization=None,
        replayed=None,
        confidence=0.5,
        preset=0.5,
        precision="fp32",
        grid="fine",
        batch=4,
    )

    def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        return frames

    def forward(self, inputs: Sequence[Frame]) -> Sequence[Frame]:
        time.sleep(FRAME * len(inputs))
        if not GPU.exists():
            raise DeviceError("the GPU fell off the bus")
        if any("poison" in frame.source for frame in inputs):
            faulthandler._sigsegv()  # type: ignore[attr-defined]
        return inputs

    def postprocess(self, outputs: Sequence[Frame]) -> list[FrameResult]:
        return [_explained(frame) for frame in outputs]

    def forget(self, source: str) -> None:
        pass

    def lower_confidence(self, confidence: float) -> None:
        pass

    def close(self) -> None:
        pass


def _explained(frame: Frame) -> FrameResult:
    heat = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (6, 1))
    explanation = Explanation("eigencam", heat, 0.5, None, (1.0, 1.0))
    detection = Detection("person", 1, 0.9, (1.0, 1.0, 9.0, 9.0), Focus(0.1, 1.0, True))
    return FrameResult(frame, (detection,), explanation)


def build_engine(*_: Any) -> StubEngine:
    time.sleep(LOAD)
    return StubEngine()


def main() -> None:
    lazy.build_engine = build_engine  # type: ignore[assignment]
    lazy.expected_key = lambda _: None
    engines.build_engine = build_engine  # type: ignore[assignment]
    command()


if __name__ == "__main__":
    main()
