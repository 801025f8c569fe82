"""One benchmark, from its settings to its report."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streamcam.bench.clip import Clip, make_clip
from streamcam.bench.results import BenchReport, Machine, Startup
from streamcam.bench.rounds import Way, speed_over, take_turns
from streamcam.bench.stages import time_stages
from streamcam.bench.streamcam_run import StreamcamRun, results_folder
from streamcam.config import Settings
from streamcam.pipeline.engine_provider import FetchProgress, build_engine, weights_choice

if TYPE_CHECKING:
    from streamcam.bench.detector_only import DetectorOnly
    from streamcam.bench.gradcam_baseline import GradCamBaseline
    from streamcam.vision.engine import Engine

Told = Callable[[str, int, int], None]
"""Is told what comes, and how many turns of all are done."""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is to be measured.

    Attributes:
        source: A video file or a demo scene.
        frames: So many frames from its first on.
        rounds: How often each way has its turn.
    """

    source: str
    frames: int
    rounds: int


def run_bench(
    plan: BenchPlan, settings: Settings, *, progress: Told, fetching: FetchProgress | None = None
) -> BenchReport:
    """Measure streamcam beside the published way and the bare detector on the same frames.

    All three are in this process, have the same weights, and take turns.

    Args:
        plan: What is to be measured.
        settings: The detector, its device, and how results are written; where to is ignored.
        progress: Is told how far it is.
        fetching: Is told of downloads.

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
        field = _Field.of(clip, results_folder(settings, folder / "out"), folder, fetching, opened)
        return field.measure(plan.rounds, progress)


@dataclass(frozen=True, slots=True)
class _Field:
    """Who and what takes part.

    Attributes:
        clip: The frames.
        settings: Of the ordinary way.
        folder: Where everything is written.
        engine: The detector that the bare and the ordinary way share.
        article: The published way.
        ordinary: The ordinary way.
        imports: Seconds that loading torch took.
        built: Seconds that building the engine took.
    """

    clip: Clip
    settings: Settings
    folder: Path
    engine: "Engine"
    article: "GradCamBaseline"
    ordinary: StreamcamRun
    imports: float
    built: float

    @classmethod
    def of(
        cls,
        clip: Clip,
        settings: Settings,
        folder: Path,
        fetching: FetchProgress | None,
        opened: ExitStack,
    ) -> "_Field":
        """Build all that takes part; `opened` closes it."""
        begun = time.perf_counter()
        from streamcam.bench.gradcam_baseline import build_article
        from streamcam.vision.models.library import Library

        imported = time.perf_counter()
        engine = opened.enter_context(build_engine(settings, fetching))
        built = time.perf_counter()
        model = settings.model
        article = build_article(
            engine,
            weights=weights_choice(model.weights),
            labels=model.labels,
            library=Library(model.library),
        )
        return cls(
            clip,
            settings,
            folder,
            engine,
            opened.enter_context(article),
            opened.enter_context(StreamcamRun(engine, settings)),
            imported - begun,
            built - imported,
        )

    def measure(self, rounds: int, progress: Told) -> BenchReport:
        """Warm all ways up, let them take turns, time the stages."""
        from streamcam.bench.detector_only import DetectorOnly

        load = os.getloadavg()[0]
        progress("the first frames of each", 0, 1)
        first_frame = self.ordinary.first(self.clip)
        self.article.explain(self.clip.frames[0].picture)
        bare = DetectorOnly(self.engine.detector, [frame.picture for frame in self.clip.frames])
        bare.choose_batch()
        turns = take_turns(self._ways(bare), rounds, progress)
        progress("the stages", 0, 1)
        stages = time_stages(self.engine, self.clip, self.settings, self.folder, rounds)
        made_by, info, count = self.engine.description, self.clip.info, len(self.clip.frames)
        half = made_by.precision
        return BenchReport(
            source=self.clip.name,
            width=info.width,
            height=info.height,
            frames=count,
            rounds=rounds,
            model=made_by.model,
            weights=made_by.weights,
            machine=_machine(made_by.device, made_by.versions, load),
            article=turns["article"].standing(count, 1, "fp32"),
            bare=turns["bare"].standing(count, bare.batch, half),
            streamcam=turns["streamcam"].standing(count, self.engine.batch, half),
            over_article=speed_over(turns["streamcam"], turns["article"]),
            over_bare=speed_over(turns["streamcam"], turns["bare"]),
            stages=stages,
            startup=Startup(self.imports, self.built, first_frame),
        )

    def _ways(self, bare: "DetectorOnly") -> dict[str, Way]:
        clip, target = self.clip, self.folder / "article.mp4"
        return {
            "article": lambda: self.article.run(clip.path, target, len(clip.frames)),
            "bare": lambda: bare.run(self.engine.description.confidence),
            "streamcam": lambda: sum(self.ordinary.run(clip).counts.detections.values()),
        }


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
