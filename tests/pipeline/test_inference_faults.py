"""A fault fails its own source alone, unless it is the device's or the engine's."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from streamcam.errors import CorruptMediaError, DeviceError, SinkError
from streamcam.pipeline.inference import InferencePipeline
from streamcam.types import Frame, FrameResult
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    StubOutputs,
    stream_of,
)
from tests.processes import eventually


def test_a_source_that_breaks_keeps_what_came_before_and_harms_no_other() -> None:
    engine, broken, sound = RecordingEngine(), ListSink(), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        with pytest.raises(CorruptMediaError, match="bad broke"):
            stream_of(pipeline, CountedSource("bad", 20, fail_at=7), broken).run()
        stream_of(pipeline, CountedSource("good", 20), sound).run()
    assert broken.indices == list(range(7))
    assert sound.indices == list(range(20))


def test_a_sink_that_breaks_ends_its_own_source_only() -> None:
    engine, sound = RecordingEngine(), ListSink()
    source = CountedSource("bad", 10_000)
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        with pytest.raises(SinkError):
            stream_of(pipeline, source, ListSink(fail_at=3)).run()
        stream_of(pipeline, CountedSource("good", 20), sound).run()
    assert source.decoded < 100
    assert sound.indices == list(range(20))


def test_a_fault_of_one_batch_fails_its_sources_and_the_street_goes_on() -> None:
    engine, sink = RecordingEngine(ValueError("odd frame"), fail_at=0), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        with pytest.raises(ValueError, match="odd frame"):
            stream_of(pipeline, CountedSource("bad", 20), ListSink()).run()
        engine._error = None
        stream_of(pipeline, CountedSource("good", 20), sink).run()
    assert sink.indices == list(range(20))


class BreaksAt(RecordingEngine):
    """Raises an error in one of its stages, for the batches that `when` selects."""

    def __init__(
        self, stage: str, error: Exception, when: Callable[[Sequence[Frame]], bool]
    ) -> None:
        super().__init__()
        self._stage = stage
        self._fault = error
        self._when = when

    def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        self._check("preprocess", frames)
        return super().preprocess(frames)

    def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
        self._check("forward", inputs)
        return super().forward(inputs)

    def postprocess(self, outputs: StubOutputs) -> list[FrameResult]:
        self._check("postprocess", outputs.frames)
        return super().postprocess(outputs)

    def _check(self, stage: str, frames: Sequence[Frame]) -> None:
        if stage == self._stage and self._when(frames):
            raise self._fault


@pytest.mark.parametrize("stage", ["preprocess", "forward", "postprocess"])
def test_a_fault_in_a_shared_batch_fails_the_guilty_source_alone(stage: str) -> None:
    def odd(frames: Sequence[Frame]) -> bool:
        return any(frame.source == "bad" and frame.index == 5 for frame in frames)

    engine = BreaksAt(stage, ValueError("odd frame"), odd)
    engine.gate.clear()
    names = ("good", "bad", "fine")
    sinks = {name: ListSink() for name in names}
    faults: dict[str, Exception] = {}
    with InferencePipeline(engine, batch=12, max_wait=1.0) as pipeline:

        def run(name: str) -> None:
            try:
                stream_of(pipeline, CountedSource(name, 20), sinks[name]).run()
            except ValueError as error:
                faults[name] = error

        threads = [threading.Thread(target=run, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        engine.gate.set()
        for thread in threads:
            thread.join(20)
    assert list(faults) == ["bad"]
    assert sinks["good"].indices == sinks["fine"].indices == list(range(20))
    assert sinks["bad"].indices == list(range(len(sinks["bad"].indices)))


def test_a_broken_device_fails_every_source_now_and_later() -> None:
    engine, sink = RecordingEngine(DeviceError("the GPU is gone"), fail_at=2), ListSink()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as pipeline:
        with pytest.raises(DeviceError):
            stream_of(pipeline, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            stream_of(pipeline, CountedSource("b", 50), ListSink())
    assert sink.indices == [0, 1, 2, 3]


def test_what_was_forwarded_before_the_device_broke_is_delivered() -> None:
    class Breaks(RecordingEngine):
        def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
            if len(self.batches) == 1:
                breaking.set()
                raise DeviceError("the GPU is gone")
            return super().forward(inputs)

        def postprocess(self, outputs: StubOutputs) -> list[FrameResult]:
            assert breaking.wait(10)
            return super().postprocess(outputs)

    breaking, sink = threading.Event(), ListSink()
    with InferencePipeline(Breaks(), batch=2, max_wait=0.01) as pipeline:
        with pytest.raises(DeviceError):
            stream_of(pipeline, CountedSource("a", 50), sink).run()
        assert not pipeline.busy
    assert sink.indices == [0, 1]


@pytest.mark.parametrize("stage", ["preprocess", "postprocess"])
def test_a_device_that_breaks_in_any_stage_fails_every_source(stage: str) -> None:
    engine = BreaksAt(stage, DeviceError("the GPU is gone"), lambda frames: frames[0].index >= 4)
    sink = ListSink()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as pipeline:
        with pytest.raises(DeviceError):
            stream_of(pipeline, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            stream_of(pipeline, CountedSource("b", 50), ListSink())
        assert not pipeline.busy
    assert sink.indices == [0, 1, 2, 3]


class ForgetsBadly(RecordingEngine):
    def forget(self, source: str) -> None:
        raise KeyError(source)


def test_an_exception_outside_of_the_stages_ends_every_stream_with_it() -> None:
    """Such an exception used to end a thread of the engine, and `run` waited for ever."""
    sink = ListSink()
    faults: list[Exception] = []

    def run() -> None:
        with InferencePipeline(ForgetsBadly(), batch=4, max_wait=0.01) as pipeline:
            stream = stream_of(pipeline, CountedSource("a", 9), sink)
            try:
                stream.run()
            except KeyError as error:
                faults.append(error)
            try:
                stream_of(pipeline, CountedSource("b", 9), ListSink())
            except KeyError as error:
                faults.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert [fault.args for fault in faults] == [("a",), ("a",)]


def test_a_pipeline_that_is_interrupted_does_not_wait_for_a_forward_that_hangs() -> None:
    """A second Ctrl-C must end the process, whatever the GPU does."""
    release = threading.Event()

    class Hangs(RecordingEngine):
        def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
            release.wait(60)
            return super().forward(inputs)

    sink = ListSink()
    started = time.monotonic()
    runs: list[threading.Thread] = []

    def interrupted() -> None:
        with InferencePipeline(Hangs(), batch=2, max_wait=0.01) as pipeline:
            stream = stream_of(pipeline, CountedSource("a", 50), sink)
            runs.append(threading.Thread(target=stream.run))
            runs[0].start()
            assert eventually(lambda: pipeline.busy)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 20
    runs[0].join(10)
    assert not runs[0].is_alive()
    assert sink.items == []
    release.set()
