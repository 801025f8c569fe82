"""The job of one file: what is left of it when it has ended."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.inference import Inference, InferencePipeline
from streamcam.pipeline.stream import Stream
from streamcam.sinks.base import EngineKey, Provenance
from streamcam.sources.inputs import Entry
from streamcam.types import Outcome
from tests.media import numbered, write_video
from tests.pipeline.stub_engine import RecordingEngine


class StubProvider(EngineProvider):
    """An engine that is there already."""

    def __init__(self, pipeline: Inference) -> None:
        self._pipeline = pipeline

    def pipeline(self) -> Inference:
        return self._pipeline

    def provenance(self) -> Provenance:
        return Provenance("stub", ("thing",), "stub", "cpu")

    def key(self) -> EngineKey:
        return self.provenance().key


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave objects that refer to each other where they are."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def streams() -> int:
    return sum(issubclass(type(found), Stream) for found in gc.get_objects())


def test_a_job_that_has_ended_keeps_no_frame(tmp_path: Path) -> None:
    """A run keeps its jobs: each would keep the buffers of a decoder, and its last frames."""
    clip = write_video(tmp_path / "clip.mp4", numbered(6))
    settings = Settings.model_validate(
        {"output": {"folder": tmp_path / "out", "video": "off"}, "sampling": {"every": 1}}
    )
    with uncollected(), InferencePipeline(RecordingEngine(), batch=2, max_wait=0.0) as pipeline:
        before = streams()
        job = Job(Entry(str(clip), "clip"), settings, StubProvider(pipeline), Observer(), Clock())
        report = job.run()
        assert report.outcome is Outcome.DONE
        assert report.counts.explained == 6
        assert streams() == before
        job.abort()  # which has nothing left to end
