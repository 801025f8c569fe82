"""Where the engine's time goes, one stage after the other, each waited for."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from streamcam.bench.detector_only import wait_for
from streamcam.types import Frame, FrameResult
from streamcam.vision.engine import Engine
from streamcam.vision.seen import download

STAGES = ("upload", "preprocess", "forward", "cam", "download", "settle")
"""In their order. `settle` is the host's part: sign, component, range, focus."""


class StageClock:
    """Runs an engine's stages with a stopwatch between them.

    On a GPU each stage is waited for, so that it is the one that is timed; in ordinary runs nothing
    waits before the download.

    Args:
        engine: What is timed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._device = engine.detector.device
        self._spent: dict[str, float] = defaultdict(float)
        self._since = 0.0

    def explain(self, frames: Sequence[Frame]) -> tuple[list[FrameResult], Mapping[str, float]]:
        """Explain one batch as the engine does, and tell the seconds of each stage."""
        self._spent.clear()
        self._begin()
        detector = self._engine.detector
        with torch.inference_mode():
            pictures = detector.upload([frame.picture for frame in frames])
            self._end("upload")
            with self._engine.preparing():
                prepared = detector.prepare(pictures)
            self._end("preprocess")
            with self._engine.looking():
                forward = detector.look(prepared)
            self._end("forward")
            guesses = self._engine.guesses(frames)
            found = self._engine.cam(forward.levels, forward.placements, guesses)
            self._end("cam")
            seen = download(forward, found)
            self._end("download")
        results = [self._engine.settle(f, s) for f, s in zip(frames, seen, strict=True)]
        self._end("settle")
        return results, dict(self._spent)

    def _begin(self) -> None:
        wait_for(self._device)
        self._since = time.perf_counter()

    def _end(self, stage: str) -> None:
        before = self._since
        self._begin()
        self._spent[stage] += self._since - before
