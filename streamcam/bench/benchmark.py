"""A benchmark: streamcam, the published recipe and the detector alone on the same frames.

They run alternately, so that other load on the machine affects all of them.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streamcam.bench.clip import Clip, make_clip
from streamcam.bench.measurements import (
    BenchReport,
    Machine,
    OpenVinoResult,
    RunResult,
    Spread,
    Startup,
)
from streamcam.bench.streamcam_run import StreamcamRun, results_folder
from streamcam.config import Settings
from streamcam.pipeline.engine_provider import FetchProgress, build_engine, model_options

if TYPE_CHECKING:
    from streamcam.bench.gradcam_baseline import GradCamBaseline
    from streamcam.bench.openvino_runs import OpenVinoRun
    from streamcam.bench.stage_times import DetectorOnly
    from streamcam.vision.engine import Engine

BenchProgress = Callable[[str, int, int], None]
"""Called before each step with its description, the runs done, and the runs in all."""

TimedRun = Callable[[], int]
"""Processes all frames once; returns the number of boxes."""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What to measure: the first frames of a video file or demo scene, in some rounds."""

    source: str
    frames: int
    rounds: int


@dataclass(slots=True)
class RunTimes:
    """Times of one of the runs, a value for each round, and the boxes of the last round."""

    clock: list[float] = field(default_factory=list)  # seconds
    processor: list[float] = field(default_factory=list)  # seconds of this process's CPU time
    detections: int = 0

    def measure(self, run: TimedRun) -> None:
        start = time.perf_counter(), time.process_time()
        self.detections = run()
        self.processor.append(time.process_time() - start[1])
        self.clock.append(time.perf_counter() - start[0])

    def result(self, frames: int, batch: int, precision: str) -> RunResult:
        return RunResult(
            rate=Spread.of([frames / seconds for seconds in self.clock]),
            processor=Spread.of([seconds / frames for seconds in self.processor]),
            batch=batch,
            precision=precision,
            detections=self.detections,
        )


def run_alternately(
    runs: Mapping[str, TimedRun], rounds: int, progress: BenchProgress
) -> dict[str, RunTimes]:
    """Time every run, by name, in every round, in reversed order every second round."""
    times = {name: RunTimes() for name in runs}
    order = list(runs)
    for index in range(rounds):
        for place, name in enumerate(order if index % 2 == 0 else reversed(order)):
            progress(name, index * len(order) + place, rounds * len(order))
            times[name].measure(runs[name])
    return times


def speed_ratio(one: RunTimes, other: RunTimes) -> Spread:
    """Speed of one run divided by that of another in the same round."""
    return Spread.of([theirs / ours for ours, theirs in zip(one.clock, other.clock, strict=True)])


def run_bench(
    plan: BenchPlan,
    settings: Settings,
    *,
    progress: BenchProgress,
    fetching: FetchProgress | None = None,
) -> BenchReport:
    """Measure streamcam, the published recipe and the detector alone, in this process.

    The settings' output folder is ignored.

    Raises:
        SourceError: The source cannot be read.
        UsageError: It is a picture, or a setting is wrong.
        WeightsError: The weights cannot be used or fetched.
        DeviceError: The GPU is missing or failed.
    """
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="streamcam-bench-")))
        progress("reading the frames", 0, 1)
        clip = make_clip(plan.source, plan.frames, folder)
        progress("loading the detector", 0, 1)
        runs = _Runs.of(clip, results_folder(settings, folder / "out"), folder, fetching, opened)
        return runs.measure(plan.rounds, progress)


@dataclass(frozen=True, slots=True)
class _Runs:
    """All that is compared."""

    clip: Clip
    settings: Settings
    folder: Path
    engine: "Engine"
    gradcam: "GradCamBaseline"
    streamcam: StreamcamRun
    openvino: "Sequence[OpenVinoRun]"
    not_in_openvino: Mapping[str, str]
    imports: float  # seconds of importing torch
    built: float  # seconds of building the engine

    @classmethod
    def of(
        cls,
        clip: Clip,
        settings: Settings,
        folder: Path,
        fetching: FetchProgress | None,
        opened: ExitStack,
    ) -> "_Runs":
        """Build everything; `opened` closes it."""
        start = time.perf_counter()
        from streamcam.bench.gradcam_baseline import build_gradcam_baseline
        from streamcam.bench.openvino_runs import open_openvino_runs

        imported = time.perf_counter()
        engine = opened.enter_context(build_engine(settings, fetching))
        built = time.perf_counter()
        gradcam = build_gradcam_baseline(engine, model_options(settings))
        others, reasons = open_openvino_runs(engine, settings, clip, opened)
        return cls(
            clip,
            settings,
            folder,
            engine,
            opened.enter_context(gradcam),
            opened.enter_context(StreamcamRun(engine, settings)),
            others,
            reasons,
            imported - start,
            built - imported,
        )

    def measure(self, rounds: int, progress: BenchProgress) -> BenchReport:
        """Warm everything up, run alternately, time the stages."""
        from streamcam.bench.stage_times import DetectorOnly, time_stages

        load = os.getloadavg()[0]
        progress("the first frames of each", 0, 1)
        first_frame = self.streamcam.first(self.clip)
        self.gradcam.explain(self.clip.frames[0].picture)
        detector = DetectorOnly(self.engine.detector, [one.picture for one in self.clip.frames])
        detector.choose_batch()
        times = run_alternately(self._timed_runs(detector), rounds, progress)
        progress("the stages", 0, 1)
        stages = time_stages(self.engine, self.clip, self.settings, self.folder, rounds)
        made_by, info, count = self.engine.description, self.clip.info, len(self.clip.frames)
        precision = made_by.precision
        return BenchReport(
            source=self.clip.name,
            width=info.width,
            height=info.height,
            frames=count,
            rounds=rounds,
            model=made_by.model,
            weights=made_by.weights,
            machine=_machine(made_by.device, made_by.versions, load),
            gradcam=times["grad-cam"].result(count, 1, "fp32"),
            detector_only=times["detector"].result(count, detector.batch, precision),
            streamcam=times["streamcam"].result(count, self.engine.batch, precision),
            over_gradcam=speed_ratio(times["streamcam"], times["grad-cam"]),
            over_detector_only=speed_ratio(times["streamcam"], times["detector"]),
            stages=stages,
            startup=Startup(self.imports, self.built, first_frame),
            openvino={one.precision: self._in_openvino(one, times) for one in self.openvino},
            not_in_openvino=self.not_in_openvino,
        )

    def _in_openvino(self, run: "OpenVinoRun", times: Mapping[str, RunTimes]) -> OpenVinoResult:
        bare, whole = (times[name] for name in run.names)
        count = len(self.clip.frames)
        return OpenVinoResult(
            bare.result(count, run.bare.batch, run.precision),
            whole.result(count, run.engine.batch, run.precision),
            speed_ratio(whole, times["streamcam"]),
            speed_ratio(whole, bare),
        )

    def _timed_runs(self, detector: "DetectorOnly") -> dict[str, TimedRun]:
        clip, target = self.clip, self.folder / "grad-cam.mp4"
        return {
            "grad-cam": lambda: self.gradcam.run(clip.path, target, len(clip.frames)),
            "detector": lambda: detector.run(self.engine.description.confidence),
            "streamcam": lambda: sum(self.streamcam.run(clip).counts.detections.values()),
        } | {name: run for one in self.openvino for name, run in one.timed(clip).items()}


def _machine(device: str, versions: Mapping[str, str], load: float) -> Machine:
    from streamcam.vision.devices import cpu_name, torch_threads

    return Machine(
        device=device,
        processor=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        threads=torch_threads(),
        load=(load, os.getloadavg()[0]),
        torch=versions["torch"],
    )
