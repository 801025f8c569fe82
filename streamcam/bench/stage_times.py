"""Times of the detector alone, and of every stage when nothing else runs."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from streamcam.bench.clip import Clip
from streamcam.bench.measurements import Spread
from streamcam.config import Settings
from streamcam.pipeline.stream import Sampler
from streamcam.render import Annotator
from streamcam.sinks.base import Sink, SinkSettings
from streamcam.sinks.pictures import StillSink
from streamcam.sinks.records import JsonlSink
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.sources.inputs import open_source
from streamcam.types import Frame, FrameResult, Picture
from streamcam.vision.devices import computing_threads
from streamcam.vision.engine import Engine
from streamcam.vision.engine_io import download
from streamcam.vision.models.detector import Detector, Forward

ENGINE_STAGES = ("upload", "preprocess", "forward", "cam", "download", "stabilize")
"""In their order. The last is the host's part: sign, component, range, focus."""

STAGES = ("decode", *ENGINE_STAGES, "render", "encode", "records")
"""In the order in which a frame passes them."""

BATCHES = (1, 2, 4, 8, 16, 32)

# The search for the best batch ends where this many sizes in a row take this much longer than the
# best.
_MAX_SLOWER = 2
_SLOWER = 1.1


class DetectorOnly:
    """Only the detector's preprocessing and forward, on frames that are on its device already."""

    def __init__(self, detector: Detector, pictures: Sequence[Picture]) -> None:
        self._detector = detector
        self._pictures = detector.upload(pictures)
        self.batch = 1
        wait_for(detector.device)

    def choose_batch(self) -> None:
        """Find the batch size with the shortest time per frame, in ascending order."""
        best, slower = float("inf"), 0
        for size in BATCHES:
            if size > len(self._pictures) or slower == _MAX_SLOWER:
                return
            seconds = self._seconds_a_frame(size)
            slower = slower + 1 if seconds > _SLOWER * best else 0
            if seconds < best:
                best, self.batch = seconds, size

    def run(self, confidence: float) -> int:
        """Process every frame; return the number of boxes of at least this score."""
        counts = []
        for start in range(0, len(self._pictures), self.batch):
            forward = self._forward(self._pictures[start : start + self.batch])
            counts += [(one.scores >= confidence).sum() for one in forward.detections]
        return int(torch.stack(counts).sum())

    def _forward(self, pictures: Sequence[Tensor]) -> Forward:
        return self._detector.forward(self._detector.preprocess(pictures))

    def _seconds_a_frame(self, size: int) -> float:
        """The shortest of three times; infinite if the device's memory is too small."""
        try:
            return min(self._timed(size) for _ in range(3)) / size
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return float("inf")

    def _timed(self, size: int) -> float:
        start = time.perf_counter()
        self._forward(self._pictures[:size])
        wait_for(self._detector.device)
        return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class StageClock:
    """Runs an engine's stages one after the other and measures their times.

    Waits for a GPU after each stage; in ordinary runs nothing waits before the download.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._device = engine.detector.device
        self._spent: dict[str, float] = defaultdict(float)
        self._since = 0.0

    def explain(self, frames: Sequence[Frame]) -> tuple[list[FrameResult], Mapping[str, float]]:
        """Explain one batch as the engine does; also the seconds of each stage."""
        self._spent.clear()
        self._begin()
        detector = self._engine.detector
        with torch.inference_mode():
            pictures = detector.upload([frame.picture for frame in frames])
            self._end("upload")
            with computing_threads(1):
                prepared = detector.preprocess(pictures)
            self._end("preprocess")
            with self._engine.forwarding():
                forward = detector.forward(prepared)
            self._end("forward")
            guesses = self._engine.guesses(frames)
            found = self._engine.cam(forward.levels, forward.placements, guesses)
            self._end("cam")
            outputs = download(forward, found)
            self._end("download")
        results = [self._engine.result(f, s) for f, s in zip(frames, outputs, strict=True)]
        self._end("stabilize")
        return results, dict(self._spent)

    def _begin(self) -> None:
        wait_for(self._device)
        self._since = time.perf_counter()

    def _end(self, stage: str) -> None:
        before = self._since
        self._begin()
        self._spent[stage] += self._since - before


def time_stages(
    engine: Engine, clip: Clip, settings: Settings, folder: Path, rounds: int
) -> dict[str, Spread]:
    """Time every stage by itself over the clip; seconds per frame, in the order of `STAGES`."""
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        results: list[FrameResult] = []
        once = _explain(engine, clip.frames, results)
        once["decode"] = _decode(clip)
        once |= _deliver(results, clip, settings, folder)
        for stage, seconds in once.items():
            spent[stage].append(seconds / len(clip.frames))
    return {stage: Spread.of(spent[stage]) for stage in STAGES}


def _explain(
    engine: Engine, frames: Sequence[Frame], results: list[FrameResult]
) -> dict[str, float]:
    clock = StageClock(engine)
    spent: dict[str, float] = defaultdict(float)
    for first in range(0, len(frames), engine.batch):
        some, seconds = clock.explain(frames[first : first + engine.batch])
        results += some
        for stage, value in seconds.items():
            spent[stage] += value
    engine.forget(frames[0].source)
    return spent


def _decode(clip: Clip) -> float:
    start = time.perf_counter()
    with closing(open_source(str(clip.path))) as source:
        for _ in source.frames(Sampler(every=1, end=clip.end)):
            pass
    return time.perf_counter() - start


def _deliver(
    results: Iterable[FrameResult], clip: Clip, settings: Settings, folder: Path
) -> Mapping[str, float]:
    video = VideoSink(
        folder / "stages.mp4", clip.info, VideoSettings(encoder=settings.output.encoder)
    )
    others: list[Sink[SinkSettings]] = [
        JsonlSink(folder / "stages.jsonl"),
        StillSink(folder / "stages.jpg"),
    ]
    annotator = Annotator()
    spent = dict.fromkeys(("render", "encode", "records"), 0.0)
    for result in results:
        start = time.perf_counter()
        picture = annotator.annotate(result)
        drawn = time.perf_counter()
        video.write(result, picture)
        encoded = time.perf_counter()
        for sink in others:
            sink.write(result, picture)
        spent["render"] += drawn - start
        spent["encode"] += encoded - drawn
        spent["records"] += time.perf_counter() - encoded
    start = time.perf_counter()
    video.finish()
    ended = time.perf_counter()
    spent["encode"] += ended - start
    for sink in others:
        sink.finish()
    spent["records"] += time.perf_counter() - ended
    return spent
