"""`streamcam run` of one file with an existing engine."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streamcam.bench.clip import Clip
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider, provenance_of
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.inference import Inference, InferencePipeline
from streamcam.sinks.base import EngineKey, Provenance
from streamcam.types import Item, JobReport

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine


class StreamcamRun(EngineProvider):
    """Runs the file job on a clip, any number of times; a context manager."""

    def __init__(self, engine: "Engine", settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._pipeline = InferencePipeline(
            engine, batch=engine.batch, max_wait=settings.model.max_wait
        )

    def __enter__(self) -> Self:
        self._pipeline.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._pipeline.close()

    def pipeline(self) -> Inference:
        return self._pipeline

    def provenance(self) -> Provenance:
        return provenance_of(self._engine, self._settings)

    def key(self) -> EngineKey:
        return self.provenance().key

    def run(self, clip: Clip) -> JobReport:
        """Explain the clip's frames, file to files.

        Raises:
            StreamcamError: It failed.
        """
        report = Job(clip.entry, self._settings_for(clip), self, Observer(), Clock()).run()
        if report.cause is not None:
            raise report.cause
        return report

    def first(self, clip: Clip) -> float:
        """Do the same; return the seconds until the first frame was written."""
        observer = _FirstFrame()
        start = time.perf_counter()
        Job(clip.entry, self._settings_for(clip), self, observer, Clock()).run()
        return (observer.written_at or time.perf_counter()) - start

    def _settings_for(self, clip: Clip) -> Settings:
        """The settings with every frame of the clip sampled."""
        sampling = self._settings.sampling.model_copy(
            update={"every": 1, "start": 0.0, "end": clip.end}
        )
        output = self._settings.output.model_copy(update={"overwrite": True})
        return self._settings.model_copy(update={"sampling": sampling, "output": output})


class _FirstFrame(Observer):
    def __init__(self) -> None:
        self.written_at: float | None = None

    def item_written(self, source: str, item: Item) -> None:
        del source, item
        self.written_at = self.written_at or time.perf_counter()


def results_folder(settings: Settings, folder: Path) -> Settings:
    """Return the settings with another folder for the results."""
    output = settings.output.model_copy(update={"folder": folder})
    return settings.model_copy(update={"output": output})
