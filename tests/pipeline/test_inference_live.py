"""Live sources on the street: every frame is delivered or counted."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from streamcam.errors import DeviceError, SinkError
from streamcam.pipeline.inference import InferencePipeline
from streamcam.pipeline.queue import Overflow
from streamcam.pipeline.sampler import Sampler
from streamcam.pipeline.stream import Stream
from streamcam.sources.base import Selector
from streamcam.types import Frame, Item, Look
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    index_of,
    passage_of,
)
from tests.processes import eventually


class LiveDelivery:
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
            raise SinkError("the way out broke")
        self.items.append(item)


class Camera(CountedSource):
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


def live_passage(street: InferencePipeline, source: Camera, delivery: LiveDelivery) -> Stream:
    return street.open(source, Sampler(every=1), delivery, overflow=Overflow.DROP_OLDEST)


def newest(delivery: LiveDelivery) -> int:
    return index_of(delivery.items[-1]) if delivery.items else -1


def assert_accounted(passage: Stream, delivery: LiveDelivery) -> None:
    assert passage.delivered == len(delivery.items)
    assert passage.received == passage.delivered + sum(passage.dropped.values())


def running(passage: Stream) -> tuple[threading.Thread, list[Exception]]:
    faults: list[Exception] = []

    def run() -> None:
        try:
            passage.run()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, faults


def stop_after(
    index: int, passage: Stream, thread: threading.Thread, delivery: LiveDelivery
) -> None:
    """Wait until a frame has gone out, and end the passage."""
    assert eventually(lambda: newest(delivery) == index)
    passage.stop()
    thread.join(10)


def test_what_a_slow_engine_misses_is_counted_and_the_newest_goes_on() -> None:
    engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 50)
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        passage = live_passage(street, source, delivery)
        thread, faults = running(passage)
        assert source.given.wait(10)
        engine.gate.set()
        stop_after(49, passage, thread, delivery)
    assert not faults
    assert passage.received == 50
    assert passage.delivered <= 3, "one on its way into the engine, one behind it"
    assert set(passage.dropped) == {"engine"}
    assert_accounted(passage, delivery)


def test_nothing_is_prepared_early_while_a_camera_is_open() -> None:
    """While one camera's picture is looked at, that of another would grow old."""

    class Noting(RecordingEngine):
        def prepare(self, frames: Sequence[Frame]) -> Look:
            prepared.extend((frame.source, frame.index) for frame in frames)
            if frames[0].source == "b":
                early.set()
            return super().prepare(frames)

    prepared: list[tuple[str, int]] = []
    early = threading.Event()
    engine, deliveries = Noting(), (LiveDelivery(), LiveDelivery())
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        first = live_passage(street, Camera("a", 1), deliveries[0])
        thread, faults = running(first)
        assert eventually(lambda: prepared == [("a", 0)])
        busy = Camera("b", 50)
        busy.steps = threading.Semaphore(1)
        second = live_passage(street, busy, deliveries[1])
        other, other_faults = running(second)
        assert not early.wait(0.3)
        busy.steps.release(49)
        assert busy.given.wait(10)
        engine.gate.set()
        stop_after(49, second, other, deliveries[1])
        stop_after(0, first, thread, deliveries[0])
    assert not faults + other_faults
    assert prepared == [("a", 0), ("b", 49)]


def test_what_was_prepared_before_a_camera_opened_has_its_turn_first() -> None:
    """A file goes on in order beside a camera that shows nothing."""

    class Noting(RecordingEngine):
        def prepare(self, frames: Sequence[Frame]) -> Look:
            if frames[0].index == 2:
                second.set()
            return super().prepare(frames)

    second, sink = threading.Event(), ListSink()
    engine, silent = Noting(), Camera("silent", 0)
    engine.gate.clear()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as street:
        passage = passage_of(street, CountedSource("file", 40), sink)
        file, file_faults = running(passage)
        assert second.wait(10)
        camera = live_passage(street, silent, LiveDelivery())
        watching, camera_faults = running(camera)
        engine.gate.set()
        file.join(10)
        camera.stop()
        watching.join(10)
    assert not file_faults + camera_faults
    assert sink.indices == list(range(40))


def test_what_a_slow_way_out_misses_is_counted_as_its_own() -> None:
    engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 50)
    delivery.gate.clear()
    source.steps = threading.Semaphore(1)
    with InferencePipeline(engine, batch=4, max_wait=0.0) as street:
        passage = live_passage(street, source, delivery)
        thread, faults = running(passage)
        assert delivery.entered.wait(10)
        source.steps.release()
        assert eventually(lambda: len(passage._track.outbox) == 1)
        source.steps.release(48)
        assert source.given.wait(10)
        delivery.gate.set()
        stop_after(49, passage, thread, delivery)
    assert not faults
    assert [index_of(item) for item in delivery.items] == [0, 1, 49]
    assert passage.dropped == {"output": 47}
    assert_accounted(passage, delivery)


def test_a_stop_delivers_what_is_on_its_way_and_a_cancellation_counts_it() -> None:
    for end, left in ((Stream.stop, 0), (Stream.cancel, 1)):
        engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 1)
        engine.gate.clear()
        with InferencePipeline(engine, batch=4, max_wait=0.0) as street:
            passage = live_passage(street, source, delivery)
            thread, faults = running(passage)
            assert source.given.wait(10)
            end(passage)
            if left:
                thread.join(10)
            engine.gate.set()
            thread.join(10)
            assert passage.ended.wait(10)
        assert not faults
        assert passage.delivered == 1 - left
        assert passage.dropped == ({"stop": 1} if left else {})
        assert_accounted(passage, delivery)


@pytest.mark.parametrize("guilty", ["engine", "way out", "device"])
def test_what_a_fault_costs_is_counted(guilty: str) -> None:
    errors = {"engine": ValueError("odd"), "device": DeviceError("gone"), "way out": None}
    engine, source = RecordingEngine(errors[guilty]), Camera("a", 10)
    delivery = LiveDelivery(fail_at=0 if guilty == "way out" else None)
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=0.0) as street:
        passage = live_passage(street, source, delivery)
        thread, faults = running(passage)
        assert source.given.wait(10)
        engine.gate.set()
        thread.join(10)
    assert len(faults) == 1
    assert passage.received == 10
    assert passage.dropped["fault"] >= 1
    assert set(passage.dropped) <= {"engine", "fault"}
    assert_accounted(passage, delivery)
