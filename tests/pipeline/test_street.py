import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from streamcam.errors import CorruptMediaError, DeviceError, SinkError
from streamcam.pipeline.delivery import Delivery
from streamcam.pipeline.lane import Overflow
from streamcam.pipeline.sampler import Sampler
from streamcam.pipeline.street import Passage, Street
from streamcam.records import Explanation, Frame, FrameResult, Item, Picture, SourceInfo
from streamcam.sources.base import Selector
from tests.processes import eventually

PICTURE: Picture = np.zeros((4, 4, 3), np.uint8)


class CountedSource:
    """Frames at 10 a second; may fail after some of them."""

    def __init__(self, name: str, count: int, fail_at: int | None = None) -> None:
        self.info = SourceInfo(name, 4, 4, Fraction(1, 10))
        self.decoded = self.corrupt = 0
        self._count = count
        self._fail_at = fail_at
        self._interrupted = threading.Event()

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        for index in range(self._count):
            if self._interrupted.is_set():
                return
            if index == self._fail_at:
                raise CorruptMediaError(f"{self.info.id} broke")
            self.decoded += 1
            sampled = selector.wants(index, index / 10)
            if sampled or every:
                time = index / 10
                yield Frame(self.info.id, index, index, Fraction(1, 10), time, PICTURE, sampled)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.interrupt()


class RecordingEngine:
    """Explains nothing, remembers the batches, and can be made to fail or to wait."""

    def __init__(self, error: Exception | None = None, fail_at: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.forgotten: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._error = error
        self._fail_at = fail_at

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[FrameResult]]:
        self.gate.wait(10)
        if self._error is not None and len(self.batches) >= self._fail_at:
            raise self._error
        self.batches.append([frame.source for frame in frames])
        heat = np.zeros((1, 1), np.float32)
        explanation = Explanation("eigencam", heat, 0.5, None, (0.0, 0.0))
        return lambda: [FrameResult(frame, (), explanation) for frame in frames]

    def forget(self, source: str) -> None:
        self.forgotten.append(source)


class ListSink:
    kind: ClassVar[str] = "records"
    needs_picture: ClassVar[bool] = False

    def __init__(self, fail_at: int | None = None) -> None:
        self.items: list[Item] = []
        self.ended = ""
        self._fail_at = fail_at

    def write(self, item: Item, picture: Picture | None) -> None:
        assert picture is None
        if len(self.items) == self._fail_at:
            raise SinkError("the sink broke")
        self.items.append(item)

    def finish(self) -> Path:
        self.ended = "finished"
        return Path("records")

    def abort(self) -> None:
        self.ended = "aborted"

    @property
    def indices(self) -> list[int]:
        return [index_of(item) for item in self.items]


def never_annotate(_: Item) -> Picture:
    raise AssertionError("no sink needs pictures")


def passage_of(
    street: Street, source: CountedSource, sink: ListSink, *, every: bool = False
) -> Passage:
    sampler = Sampler(every=2 if every else 1)
    return street.open(source, sampler, Delivery([sink], never_annotate), every=every)


def test_every_frame_arrives_once_and_in_order() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with Street(engine, batch=4, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 101), sink).run()
    assert sink.indices == list(range(101))
    assert max(len(batch) for batch in engine.batches) <= 4
    assert engine.forgotten == ["a"]


def test_frames_that_only_pass_keep_their_place() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with Street(engine, batch=3, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 50), sink, every=True).run()
    assert sink.indices == list(range(50))
    explained = [i.frame.index for i in sink.items if isinstance(i, FrameResult)]
    assert explained == list(range(0, 50, 2))


def test_sources_share_batches() -> None:
    engine, sinks = RecordingEngine(), [ListSink() for _ in range(4)]
    engine.gate.clear()
    with Street(engine, batch=4, max_wait=1.0) as street:
        passages = [
            passage_of(street, CountedSource(f"s{number}", 20), sink)
            for number, sink in enumerate(sinks)
        ]
        threads = [threading.Thread(target=passage.run) for passage in passages]
        for thread in threads:
            thread.start()
        engine.gate.set()
        for thread in threads:
            thread.join(20)
    assert all(sink.indices == list(range(20)) for sink in sinks)
    assert any(len(set(batch)) >= 2 for batch in engine.batches)


def test_a_source_that_breaks_keeps_what_came_before_and_harms_no_other() -> None:
    engine, broken, sound = RecordingEngine(), ListSink(), ListSink()
    with Street(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(CorruptMediaError, match="bad broke"):
            passage_of(street, CountedSource("bad", 20, fail_at=7), broken).run()
        passage_of(street, CountedSource("good", 20), sound).run()
    assert broken.indices == list(range(7))
    assert sound.indices == list(range(20))


def test_a_sink_that_breaks_ends_its_own_source_only() -> None:
    engine, sound = RecordingEngine(), ListSink()
    source = CountedSource("bad", 10_000)
    with Street(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(SinkError):
            passage_of(street, source, ListSink(fail_at=3)).run()
        passage_of(street, CountedSource("good", 20), sound).run()
    assert source.decoded < 100
    assert sound.indices == list(range(20))


def test_a_fault_of_one_batch_fails_its_sources_and_the_street_goes_on() -> None:
    engine, sink = RecordingEngine(ValueError("odd frame"), fail_at=0), ListSink()
    with Street(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(ValueError, match="odd frame"):
            passage_of(street, CountedSource("bad", 20), ListSink()).run()
        engine._error = None
        passage_of(street, CountedSource("good", 20), sink).run()
    assert sink.indices == list(range(20))


def test_a_broken_device_fails_every_source_now_and_later() -> None:
    engine, sink = RecordingEngine(DeviceError("the GPU is gone"), fail_at=2), ListSink()
    with Street(engine, batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("b", 50), ListSink())
    assert sink.indices == [0, 1, 2, 3]


def test_the_next_batch_is_looked_at_while_the_results_of_one_are_made() -> None:
    """Neither half goes on before the other is there; no third batch is under way meanwhile."""

    class Slow(RecordingEngine):
        def begin(self, frames: Sequence[Frame]) -> Callable[[], list[FrameResult]]:
            rest = super().begin(frames)
            if len(self.batches) == 2:
                both.wait(10)

            def slow_rest() -> list[FrameResult]:
                if frames[0].index == 0:
                    both.wait(10)
                    begun.append(len(self.batches))
                return rest()

            return slow_rest

    both, begun, sink = threading.Barrier(2), [], ListSink()
    with Street(Slow(), batch=2, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 10), sink).run()
    assert sink.indices == list(range(10))
    assert begun == [2]


def test_what_was_looked_at_before_the_device_broke_is_delivered() -> None:
    class Breaks(RecordingEngine):
        def begin(self, frames: Sequence[Frame]) -> Callable[[], list[FrameResult]]:
            if len(self.batches) == 1:
                breaking.set()
                raise DeviceError("the GPU is gone")
            rest = super().begin(frames)
            return lambda: breaking.wait(10) and rest()  # type: ignore[return-value]

    breaking, sink = threading.Event(), ListSink()
    with Street(Breaks(), batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        assert not street.busy
    assert sink.indices == [0, 1]


def test_a_device_that_breaks_in_the_second_half_fails_every_source() -> None:
    class Breaks(RecordingEngine):
        def begin(self, frames: Sequence[Frame]) -> Callable[[], list[FrameResult]]:
            rest = super().begin(frames)
            if len(self.batches) < 3:
                return rest

            def broken() -> list[FrameResult]:
                raise DeviceError("the GPU is gone")

            return broken

    sink = ListSink()
    with Street(Breaks(), batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("b", 50), ListSink())
        assert not street.busy
    assert sink.indices == [0, 1, 2, 3]


def test_stop_delivers_what_is_on_its_way() -> None:
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 1_000_000)
    with Street(engine, batch=4, max_wait=0.01) as street:
        passage = passage_of(street, source, sink)

        def stop_after_ten(_: Item) -> None:
            if len(sink.items) == 10:
                passage.stop()

        passage.run(stop_after_ten)
    assert passage.stopped
    assert sink.indices == list(range(source.decoded))


def test_a_slow_tail_holds_back_its_head() -> None:
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 1000)
    ahead: list[int] = []
    with Street(engine, batch=2, max_wait=0.001) as street:
        passage_of(street, source, sink).run(
            lambda _: ahead.append(source.decoded - len(sink.items))
        )
    assert max(ahead) <= 2 * (3 * 2) + 2 + 1


@pytest.mark.parametrize("half", ["first", "second"])
def test_a_fault_in_a_shared_batch_fails_the_guilty_source_alone(half: str) -> None:
    class Picky(RecordingEngine):
        def begin(self, frames: Sequence[Frame]) -> Callable[[], list[FrameResult]]:
            odd = any(frame.source == "bad" and frame.index == 5 for frame in frames)
            if odd and half == "first":
                raise ValueError("odd frame")
            rest = super().begin(frames)
            return _raise if odd else rest

    def _raise() -> list[FrameResult]:
        raise ValueError("odd frame")

    engine = Picky()
    engine.gate.clear()
    names = ("good", "bad", "fine")
    sinks = {name: ListSink() for name in names}
    faults: dict[str, Exception] = {}
    with Street(engine, batch=12, max_wait=1.0) as street:

        def run(name: str) -> None:
            try:
                passage_of(street, CountedSource(name, 20), sinks[name]).run()
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


def live_passage(street: Street, source: Camera, delivery: LiveDelivery) -> Passage:
    return street.open(source, Sampler(every=1), delivery, overflow=Overflow.DROP_OLDEST)


def index_of(item: Item) -> int:
    return item.frame.index if isinstance(item, FrameResult) else item.index


def newest(delivery: LiveDelivery) -> int:
    return index_of(delivery.items[-1]) if delivery.items else -1


def assert_accounted(passage: Passage, delivery: LiveDelivery) -> None:
    assert passage.delivered == len(delivery.items)
    assert passage.received == passage.delivered + sum(passage.dropped.values())


def running(passage: Passage) -> tuple[threading.Thread, list[Exception]]:
    faults: list[Exception] = []

    def run() -> None:
        try:
            passage.run()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, faults


def test_what_a_slow_engine_misses_is_counted_and_the_newest_goes_on() -> None:
    engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 50)
    engine.gate.clear()
    with Street(engine, batch=4, max_wait=0.01) as street:
        passage = live_passage(street, source, delivery)
        thread, faults = running(passage)
        assert source.given.wait(10)
        engine.gate.set()
        assert eventually(lambda: newest(delivery) == 49)
        passage.stop()
        thread.join(10)
    assert not faults
    assert passage.received == 50
    assert passage.delivered <= 3, "one on its way into the engine, one behind it"
    assert set(passage.dropped) == {"engine"}
    assert_accounted(passage, delivery)


def test_what_a_slow_way_out_misses_is_counted_as_its_own() -> None:
    engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 50)
    delivery.gate.clear()
    source.steps = threading.Semaphore(1)
    with Street(engine, batch=4, max_wait=0.0) as street:
        passage = live_passage(street, source, delivery)
        thread, faults = running(passage)
        assert delivery.entered.wait(10)
        source.steps.release()
        assert eventually(lambda: len(passage._track.outbox) == 1)
        source.steps.release(48)
        assert source.given.wait(10)
        delivery.gate.set()
        assert eventually(lambda: newest(delivery) == 49)
        passage.stop()
        thread.join(10)
    assert not faults
    assert [index_of(item) for item in delivery.items] == [0, 1, 49]
    assert passage.dropped == {"output": 47}
    assert_accounted(passage, delivery)


def test_a_stop_delivers_what_is_on_its_way_and_a_cancellation_counts_it() -> None:
    for end, left in ((Passage.stop, 0), (Passage.cancel, 1)):
        engine, delivery, source = RecordingEngine(), LiveDelivery(), Camera("a", 1)
        engine.gate.clear()
        with Street(engine, batch=4, max_wait=0.0) as street:
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
    with Street(engine, batch=4, max_wait=0.0) as street:
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
