"""The street: order, shared batches, three steps, back-pressure, stopping."""

import threading
import weakref
from collections.abc import Sequence

from streamcam.pipeline.inference import InferencePipeline
from streamcam.types import Finish, Frame, FrameResult, Item, Look
from tests.pipeline.stub_engine import (
    CountedSource,
    ListSink,
    RecordingEngine,
    passage_of,
)
from tests.processes import eventually


def test_every_frame_arrives_once_and_in_order() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 101), sink).run()
    assert sink.indices == list(range(101))
    assert max(len(batch) for batch in engine.batches) <= 4
    assert engine.forgotten == ["a"]


def test_frames_that_only_pass_keep_their_place() -> None:
    engine, sink = RecordingEngine(), ListSink()
    with InferencePipeline(engine, batch=3, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 50), sink, every=True).run()
    assert sink.indices == list(range(50))
    explained = [i.frame.index for i in sink.items if isinstance(i, FrameResult)]
    assert explained == list(range(0, 50, 2))


def test_sources_share_batches() -> None:
    engine, sinks = RecordingEngine(), [ListSink() for _ in range(4)]
    engine.gate.clear()
    with InferencePipeline(engine, batch=4, max_wait=1.0) as street:
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


def test_the_next_batch_is_looked_at_while_the_results_of_one_are_made() -> None:
    """Neither goes on before the other is there; no third batch is looked at meanwhile."""

    class Slow(RecordingEngine):
        def look(self, frames: Sequence[Frame]) -> Finish:
            rest = super().look(frames)
            if len(self.batches) == 2:
                both.wait(10)
            if len(self.batches) == 3:
                third.set()

            def slow_rest() -> list[FrameResult]:
                if frames[0].index == 0:
                    both.wait(10)
                    early.append(third.wait(0.3))
                return rest()

            return slow_rest

    both, third, early, sink = threading.Barrier(2), threading.Event(), [], ListSink()
    with InferencePipeline(Slow(), batch=2, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 10), sink).run()
    assert sink.indices == list(range(10))
    assert early == [False]
    assert third.is_set()


def test_a_files_next_batch_is_prepared_while_one_is_looked_at() -> None:
    class Slow(RecordingEngine):
        def prepare(self, frames: Sequence[Frame]) -> Look:
            if frames[0].index > 0:
                second.set()
            return super().prepare(frames)

        def look(self, frames: Sequence[Frame]) -> Finish:
            if frames[0].index == 0:
                early.append(second.wait(10))
            return super().look(frames)

    second, early, sink = threading.Event(), [], ListSink()
    with InferencePipeline(Slow(), batch=2, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 10), sink).run()
    assert early == [True]
    assert sink.indices == list(range(10))


def test_nobody_keeps_what_a_batch_was_made_with() -> None:
    """Activations are large, and a street may be idle for hours."""

    class Results:
        def __init__(self, finish: Finish) -> None:
            self._finish = finish

        def __call__(self) -> list[FrameResult]:
            return self._finish()

    class Holding(RecordingEngine):
        def look(self, frames: Sequence[Frame]) -> Finish:
            results = Results(super().look(frames))
            held.append(weakref.ref(results))
            return results

    held: list[weakref.ref[Results]] = []
    with InferencePipeline(Holding(), batch=4, max_wait=0.01) as street:
        passage_of(street, CountedSource("a", 20), ListSink()).run()
        assert len(held) == 5
        assert eventually(lambda: not any(reference() for reference in held))


def test_stop_delivers_what_is_on_its_way() -> None:
    engine, sink = RecordingEngine(), ListSink()
    source = CountedSource("a", 1_000_000)
    with InferencePipeline(engine, batch=4, max_wait=0.01) as street:
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
    with InferencePipeline(engine, batch=2, max_wait=0.001) as street:
        passage_of(street, source, sink).run(
            lambda _: ahead.append(source.decoded - len(sink.items))
        )
    assert max(ahead) <= 2 * (2 * 2) + 2 + 1
