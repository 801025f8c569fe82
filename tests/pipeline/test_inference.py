"""The pipeline: order, shared batches, three steps, back-pressure, stopping."""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace

from streamcam.pipeline.inference import InferencePipeline
from streamcam.types import Frame, FrameResult, Item
from tests.clocks import ManualClock
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    StubOutputs,
    stream_of,
)
from tests.processes import eventually


def test_every_frame_arrives_once_and_in_order() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        stream_of(pipeline, CountedSource("a", 101), sink).run()
    assert sink.indices == list(range(101))
    assert max(len(batch) for batch in engine.batches) <= 4
    assert engine.forgotten == ["a"]


def test_frames_that_are_not_explained_keep_their_place() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with InferencePipeline(engine, batch=3, max_wait=0.01) as pipeline:
        stream_of(pipeline, CountedSource("a", 50), sink, every=True).run()
    assert sink.indices == list(range(50))
    explained = [i.frame.index for i in sink.items if isinstance(i, FrameResult)]
    assert explained == list(range(0, 50, 2))


def test_sources_share_batches() -> None:
    engine, sinks = RecordingEngine(), [ListSink() for _ in range(4)]
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=1.0) as pipeline:
        streams = [
            stream_of(pipeline, CountedSource(f"s{number}", 20), sink)
            for number, sink in enumerate(sinks)
        ]
        threads = [threading.Thread(target=stream.run) for stream in streams]
        for thread in threads:
            thread.start()
        engine.gate.set()
        for thread in threads:
            thread.join(20)
    assert all(sink.indices == list(range(20)) for sink in sinks)
    assert any(len(set(batch)) >= 2 for batch in engine.batches)


def test_a_batch_is_forwarded_while_another_is_postprocessed() -> None:
    """Neither goes on before the other is there; no third batch is forwarded meanwhile."""

    class Slow(RecordingEngine):
        def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
            outputs = super().forward(inputs)
            if len(self.batches) == 2:
                both.wait(10)
            if len(self.batches) == 3:
                third.set()
            return outputs

        def postprocess(self, outputs: StubOutputs) -> list[FrameResult]:
            if outputs.frames[0].index == 0:
                both.wait(10)
                early.append(third.wait(0.3))
            return super().postprocess(outputs)

    both, third, early, sink = threading.Barrier(2), threading.Event(), [], ListSink()
    with InferencePipeline(Slow(), batch=2, max_wait=0.01) as pipeline:
        stream_of(pipeline, CountedSource("a", 10), sink).run()
    assert sink.indices == list(range(10))
    assert early == [False]
    assert third.is_set()


def test_a_files_next_batch_is_preprocessed_while_one_is_forwarded() -> None:
    class Slow(RecordingEngine):
        def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
            if frames[0].index > 0:
                second.set()
            return super().preprocess(frames)

        def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
            if inputs[0].index == 0:
                early.append(second.wait(10))
            return super().forward(inputs)

    second, early, sink = threading.Event(), [], ListSink()
    with InferencePipeline(Slow(), batch=2, max_wait=0.01) as pipeline:
        stream_of(pipeline, CountedSource("a", 10), sink).run()
    assert early == [True]
    assert sink.indices == list(range(10))


def test_no_thread_keeps_the_outputs_of_a_batch() -> None:
    """Feature maps are large, and a pipeline may be idle for hours."""

    class Holding(RecordingEngine):
        def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
            outputs = super().forward(inputs)
            held.append(weakref.ref(outputs))
            return outputs

    held: list[weakref.ref[StubOutputs]] = []
    with InferencePipeline(Holding(), batch=4, max_wait=0.01) as pipeline:
        stream_of(pipeline, CountedSource("a", 20), ListSink()).run()
        assert len(held) == 5
        assert eventually(lambda: not any(reference() for reference in held))


def test_stop_delivers_the_frames_in_flight() -> None:
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 1_000_000)
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        stream = stream_of(pipeline, source, sink)

        def stop_after_ten(_: Item) -> None:
            if len(sink.items) == 10:
                stream.stop()

        stream.run(stop_after_ten)
    assert sink.indices == list(range(source.decoded))


def test_a_slow_writer_pauses_its_own_decoder() -> None:
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 1000)
    ahead: list[int] = []
    with InferencePipeline(engine, batch=2, max_wait=0.001) as pipeline:
        stream_of(pipeline, source, sink).run(
            lambda _: ahead.append(source.decoded - len(sink.items))
        )
    assert max(ahead) <= 2 * (2 * 2) + 2 + 1


def test_fewer_frames_are_held_of_a_source_of_large_ones() -> None:
    """Two of 30 megapixels make a batch of 200 MB, and there are four in all."""
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 100)
    source.info = replace(source.info, width=6000, height=5000)
    ahead: list[int] = []
    with InferencePipeline(engine, batch=8, max_wait=0.001) as pipeline:
        stream_of(pipeline, source, sink).run(
            lambda _: ahead.append(source.decoded - len(sink.items))
        )
    assert sink.indices == list(range(100))
    assert max(ahead) <= 4 * 2 + 1


def test_batches_are_timed_by_the_clock_that_is_given() -> None:
    seconds: list[float] = []
    clock, sink = ManualClock(), ListSink()
    with InferencePipeline(
        RecordingEngine(), batch=1, max_wait=0.0, on_batch=seconds.append, clock=clock
    ) as pipeline:
        stream_of(pipeline, CountedSource("a", 5), sink).run()
    assert seconds == [0.0] * 5, "the clock stood still"
