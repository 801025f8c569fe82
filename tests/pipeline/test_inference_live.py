"""Live sources in the pipeline: every frame is delivered or counted."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from streamcam.errors import DeviceError, SinkError
from streamcam.pipeline.inference import InferencePipeline
from streamcam.pipeline.queue import Overflow
from streamcam.pipeline.stream import Sampler, Stream
from streamcam.sources.base import Selector
from streamcam.types import Frame, Item
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    index_of,
    stream_of,
)
from tests.processes import eventually


class BlockingDelivery:
    """Takes items, and waits or fails where a test says so."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.items: list[Item] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self._fail_at = fail_at

    def write(self, item: Item) -> None:
        self.entered.set()
        self.gate.wait(10)
        if len(self.items) == self._fail_at:
            raise SinkError("the sink broke")
        self.items.append(item)


class WaitingSource(CountedSource):
    """Gives its frames at once, then waits to be interrupted."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, count)
        self.given = threading.Event()
        self.steps = threading.Semaphore(count)

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        for frame in super().frames(selector, every=every):
            self.steps.acquire(timeout=10)
            yield frame
        self.given.set()
        self._interrupted.wait(10)


def live_stream(
    pipeline: InferencePipeline, source: WaitingSource, delivery: BlockingDelivery
) -> Stream:
    return pipeline.open(source, Sampler(every=1), delivery, overflow=Overflow.DROP_OLDEST)


def newest(delivery: BlockingDelivery) -> int:
    return index_of(delivery.items[-1]) if delivery.items else -1


def assert_accounted(stream: Stream, delivery: BlockingDelivery) -> None:
    assert stream.delivered == len(delivery.items)
    assert stream.received == stream.delivered + sum(stream.dropped.values())


def running(stream: Stream) -> tuple[threading.Thread, list[Exception]]:
    faults: list[Exception] = []

    def run() -> None:
        try:
            stream.run()
        except Exception as error:  # noqa: BLE001 - forwarded by the test
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, faults


def stop_after(
    index: int, stream: Stream, thread: threading.Thread, delivery: BlockingDelivery
) -> None:
    """Wait until a frame has gone out, and end the stream."""
    assert eventually(lambda: newest(delivery) == index)
    stream.stop()
    thread.join(10)


def test_what_a_slow_engine_misses_is_counted_and_the_newest_goes_on() -> None:
    engine, delivery, source = RecordingEngine(), BlockingDelivery(), WaitingSource("a", 50)
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        stream = live_stream(pipeline, source, delivery)
        thread, faults = running(stream)
        assert source.given.wait(10)
        engine.gate.set()
        stop_after(49, stream, thread, delivery)
    assert not faults
    assert stream.received == 50
    assert stream.delivered <= 3, "one on its way into the engine, one behind it"
    assert set(stream.dropped) == {"engine"}
    assert_accounted(stream, delivery)


def test_nothing_is_preprocessed_early_while_a_camera_is_open() -> None:
    """While one camera's picture is forwarded, that of another would grow old."""

    class Noting(RecordingEngine):
        def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
            preprocessed.extend((frame.source, frame.index) for frame in frames)
            if frames[0].source == "b":
                early.set()
            return super().preprocess(frames)

    preprocessed: list[tuple[str, int]] = []
    early = threading.Event()
    engine, deliveries = Noting(), (BlockingDelivery(), BlockingDelivery())
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as pipeline:
        first = live_stream(pipeline, WaitingSource("a", 1), deliveries[0])
        thread, faults = running(first)
        assert eventually(lambda: preprocessed == [("a", 0)])
        busy = WaitingSource("b", 50)
        busy.steps = threading.Semaphore(1)
        second = live_stream(pipeline, busy, deliveries[1])
        other, other_faults = running(second)
        assert not early.wait(0.3)
        busy.steps.release(49)
        assert busy.given.wait(10)
        engine.gate.set()
        stop_after(49, second, other, deliveries[1])
        stop_after(0, first, thread, deliveries[0])
    assert not faults + other_faults
    assert preprocessed == [("a", 0), ("b", 49)]


def test_what_was_preprocessed_before_a_camera_opened_has_its_turn_first() -> None:
    """A file goes on in order beside a camera that shows nothing."""

    class Noting(RecordingEngine):
        def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
            if frames[0].index == 2:
                second.set()
            return super().preprocess(frames)

    second, sink = threading.Event(), ListSink()
    engine, silent = Noting(), WaitingSource("silent", 0)
    engine.gate.clear()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as pipeline:
        stream = stream_of(pipeline, CountedSource("file", 40), sink)
        file, file_faults = running(stream)
        assert second.wait(10)
        camera = live_stream(pipeline, silent, BlockingDelivery())
        watching, camera_faults = running(camera)
        engine.gate.set()
        file.join(10)
        camera.stop()
        watching.join(10)
    assert not file_faults + camera_faults
    assert sink.indices == list(range(40))


def test_frames_dropped_for_a_slow_writer_are_counted_as_output() -> None:
    engine, delivery, source = RecordingEngine(), BlockingDelivery(), WaitingSource("a", 50)
    delivery.gate.clear()
    source.steps = threading.Semaphore(1)
    with InferencePipeline(engine, batch=4, max_wait=0.0) as pipeline:
        stream = live_stream(pipeline, source, delivery)
        thread, faults = running(stream)
        assert delivery.entered.wait(10)
        source.steps.release()
        assert eventually(lambda: len(stream._state.output_queue) == 1)
        source.steps.release(48)
        assert source.given.wait(10)
        delivery.gate.set()
        stop_after(49, stream, thread, delivery)
    assert not faults
    assert [index_of(item) for item in delivery.items] == [0, 1, 49]
    assert stream.dropped == {"output": 47}
    assert_accounted(stream, delivery)


def test_a_stop_delivers_what_is_on_its_way_and_a_cancellation_counts_it() -> None:
    for end, left in ((Stream.stop, 0), (Stream.cancel, 1)):
        engine, delivery, source = RecordingEngine(), BlockingDelivery(), WaitingSource("a", 1)
        engine.gate.clear()
        with InferencePipeline(engine, batch=4, max_wait=0.0) as pipeline:
            stream = live_stream(pipeline, source, delivery)
            thread, faults = running(stream)
            assert source.given.wait(10)
            end(stream)
            if left:
                thread.join(10)
            engine.gate.set()
            thread.join(10)
            assert stream.ended.wait(10)
        assert not faults
        assert stream.delivered == 1 - left
        assert stream.dropped == ({"stop": 1} if left else {})
        assert_accounted(stream, delivery)


@pytest.mark.parametrize("guilty", ["engine", "sink", "device"])
def test_what_a_fault_costs_is_counted(guilty: str) -> None:
    errors = {"engine": ValueError("odd"), "device": DeviceError("gone"), "sink": None}
    engine, source = RecordingEngine(errors[guilty]), WaitingSource("a", 10)
    delivery = BlockingDelivery(fail_at=0 if guilty == "sink" else None)
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.0) as pipeline:
        stream = live_stream(pipeline, source, delivery)
        thread, faults = running(stream)
        assert source.given.wait(10)
        engine.gate.set()
        thread.join(10)
    assert len(faults) == 1
    assert stream.received == 10
    assert stream.dropped["fault"] >= 1
    assert set(stream.dropped) <= {"engine", "fault"}
    assert_accounted(stream, delivery)
