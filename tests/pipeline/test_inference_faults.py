"""What breaks on the street fails alone, unless it is the device."""

import threading
from collections.abc import Callable, Sequence

import pytest

from streamcam.errors import CorruptMediaError, DeviceError, SinkError
from streamcam.pipeline.inference import InferencePipeline
from streamcam.types import Finish, Frame, FrameResult, Look
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    passage_of,
)


def test_a_source_that_breaks_keeps_what_came_before_and_harms_no_other() -> None:
    engine, broken, sound = RecordingEngine(), ListSink(), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(CorruptMediaError, match="bad broke"):
            passage_of(street, CountedSource("bad", 20, fail_at=7), broken).run()
        passage_of(street, CountedSource("good", 20), sound).run()
    assert broken.indices == list(range(7))
    assert sound.indices == list(range(20))


def test_a_sink_that_breaks_ends_its_own_source_only() -> None:
    engine, sound = RecordingEngine(), ListSink()
    source = CountedSource("bad", 10_000)
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(SinkError):
            passage_of(street, source, ListSink(fail_at=3)).run()
        passage_of(street, CountedSource("good", 20), sound).run()
    assert source.decoded < 100
    assert sound.indices == list(range(20))


def test_a_fault_of_one_batch_fails_its_sources_and_the_street_goes_on() -> None:
    engine, sink = RecordingEngine(ValueError("odd frame"), fail_at=0), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        with pytest.raises(ValueError, match="odd frame"):
            passage_of(street, CountedSource("bad", 20), ListSink()).run()
        engine._error = None
        passage_of(street, CountedSource("good", 20), sink).run()
    assert sink.indices == list(range(20))


class BreaksAt(RecordingEngine):
    """Raises an error in one of its steps, where a batch calls for it."""

    def __init__(
        self, step: str, error: Exception, when: Callable[[Sequence[Frame]], bool]
    ) -> None:
        super().__init__()
        self._step = step
        self._fault = error
        self._when = when

    def prepare(self, frames: Sequence[Frame]) -> Look:
        self._check("prepare", frames)
        return super().prepare(frames)

    def look(self, frames: Sequence[Frame]) -> Finish:
        self._check("look", frames)
        finish = super().look(frames)

        def finish_or_break() -> list[FrameResult]:
            self._check("finish", frames)
            return finish()

        return finish_or_break

    def _check(self, step: str, frames: Sequence[Frame]) -> None:
        if step == self._step and self._when(frames):
            raise self._fault


@pytest.mark.parametrize("step", ["prepare", "look", "finish"])
def test_a_fault_in_a_shared_batch_fails_the_guilty_source_alone(step: str) -> None:
    def odd(frames: Sequence[Frame]) -> bool:
        return any(frame.source == "bad" and frame.index == 5 for frame in frames)

    engine = BreaksAt(step, ValueError("odd frame"), odd)
    engine.gate.clear()
    names = ("good", "bad", "fine")
    sinks = {name: ListSink() for name in names}
    faults: dict[str, Exception] = {}
    with InferencePipeline(engine, batch=12, max_wait=1.0) as street:

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


def test_a_broken_device_fails_every_source_now_and_later() -> None:
    engine, sink = RecordingEngine(DeviceError("the GPU is gone"), fail_at=2), ListSink()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("b", 50), ListSink())
    assert sink.indices == [0, 1, 2, 3]


def test_what_was_looked_at_before_the_device_broke_is_delivered() -> None:
    class Breaks(RecordingEngine):
        def look(self, frames: Sequence[Frame]) -> Finish:
            if len(self.batches) == 1:
                breaking.set()
                raise DeviceError("the GPU is gone")
            rest = super().look(frames)
            return lambda: breaking.wait(10) and rest()  # type: ignore[return-value]

    breaking, sink = threading.Event(), ListSink()
    with InferencePipeline(Breaks(), batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        assert not street.busy
    assert sink.indices == [0, 1]


@pytest.mark.parametrize("step", ["prepare", "finish"])
def test_a_device_that_breaks_in_any_step_fails_every_source(step: str) -> None:
    engine = BreaksAt(step, DeviceError("the GPU is gone"), lambda frames: frames[0].index >= 4)
    sink = ListSink()
    with InferencePipeline(engine, batch=2, max_wait=0.01) as street:
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("a", 50), sink).run()
        with pytest.raises(DeviceError):
            passage_of(street, CountedSource("b", 50), ListSink())
        assert not street.busy
    assert sink.indices == [0, 1, 2, 3]
