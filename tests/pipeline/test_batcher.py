import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np

from streamcam.clock import Clock
from streamcam.pipeline.batcher import Batch, Batcher, StreamState
from streamcam.pipeline.queue import Overflow
from streamcam.types import Frame

PICTURE = np.zeros((2, 2, 3), np.uint8)
LONG = 30.0


def batcher_of(size: int, max_wait: float) -> Batcher:
    return Batcher(size, max_wait, Clock())


def frame(source: str, index: int, *, sampled: bool = True) -> Frame:
    return Frame(source, index, index, Fraction(1, 10), index / 10, PICTURE, sampled=sampled)


def stream(batcher: Batcher, source: str, count: int, capacity: int = 100) -> StreamState:
    added = batcher.add(
        source, input_capacity=capacity, output_capacity=capacity, overflow=Overflow.BLOCK
    )
    for index in range(count):
        added.input_queue.put(frame(source, index))
    return added


def contents(batch: Batch | None) -> list[tuple[str, int]]:
    assert batch is not None
    return [(owner.source, taken.index) for owner, taken in batch.entries]


def take(batcher: Batcher) -> list[tuple[str, int]]:
    """What is in the next batch; it is done with at once."""
    batch = batcher.next()
    assert batch is not None
    batcher.complete(batch)
    return contents(batch)


def test_a_batch_is_shared_fairly_between_sources() -> None:
    batcher = batcher_of(6, LONG)
    for source, count in (("a", 50), ("b", 1), ("c", 2)):
        stream(batcher, source, count)
    taken = take(batcher)
    assert sorted(taken) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1)]


def test_a_fast_source_cannot_starve_a_slow_one_when_batches_are_small() -> None:
    batcher = batcher_of(1, LONG)
    stream(batcher, "fast", 50)
    stream(batcher, "slow", 3)
    first = [take(batcher)[0][0] for _ in range(6)]
    assert first.count("slow") == 3


def test_batches_too_small_for_all_take_turns_without_gaps() -> None:
    batcher = batcher_of(4, LONG)
    for number in range(8):
        stream(batcher, str(number), 50)
    taken = [{source for source, _ in take(batcher)} for _ in range(6)]
    assert all(len(sources) == 4 for sources in taken)
    assert taken[0] | taken[1] == set("01234567")
    assert taken == [taken[0], taken[1]] * 3


def test_who_has_waited_longest_is_in_the_next_batch() -> None:
    batcher = batcher_of(4, LONG)
    slow = stream(batcher, "slow", 0)
    for number in range(8):
        stream(batcher, str(number), 50)
    for index in range(5):
        for _ in range(3):
            assert "slow" not in {source for source, _ in take(batcher)}
        slow.input_queue.put(frame("slow", index))
        assert ("slow", index) in take(batcher)


def test_a_partial_batch_goes_when_it_has_waited() -> None:
    batcher = batcher_of(8, 0.01)
    stream(batcher, "a", 3)
    assert take(batcher) == [("a", 0), ("a", 1), ("a", 2)]


def test_frames_that_are_not_explained_keep_their_place_and_do_not_fill_the_batch() -> None:
    batcher = batcher_of(2, LONG)
    added = batcher.add("a", input_capacity=100, output_capacity=100, overflow=Overflow.BLOCK)
    for index in range(8):
        added.input_queue.put(frame("a", index, sampled=index % 3 == 0))
    batch = batcher.next()
    assert [index for _, index in contents(batch)] == [0, 1, 2, 3]
    assert batch is not None
    assert [taken.index for taken in batch.sampled] == [0, 3]


def test_the_end_of_a_source_is_announced_once_everything_was_taken() -> None:
    batcher = batcher_of(4, LONG)
    added = stream(batcher, "a", 2)
    added.input_queue.close()
    batch = batcher.next()
    assert batch is not None
    assert contents(batch) == [("a", 0), ("a", 1)]
    assert batch.finished == [added]


def test_a_full_output_queue_pauses_only_its_own_source() -> None:
    batcher = batcher_of(4, 0.01)
    slow = stream(batcher, "slow", 2, capacity=2)
    stream(batcher, "quick", 50)
    for index in range(2):
        slow.output_queue.put(frame("slow", index))
    assert {source for source, _ in take(batcher)} == {"quick"}
    slow.output_queue.take()
    assert take(batcher).count(("slow", 0)) == 1


def test_never_takes_more_than_the_output_queue_has_room_for() -> None:
    batcher = batcher_of(8, 0.01)
    added = batcher.add("a", input_capacity=3, output_capacity=3, overflow=Overflow.DROP_OLDEST)
    for index in range(8):
        added.input_queue.put(frame("a", index))
    added.output_queue.put(frame("a", 0))
    assert take(batcher) == [("a", 5), ("a", 6)]
    assert added.input_queue.dropped == 5


def test_a_dropped_frame_after_a_reconnect_leaves_its_mark_on_the_next() -> None:
    batcher = batcher_of(8, 0.01)
    added = batcher.add("a", input_capacity=2, output_capacity=9, overflow=Overflow.DROP_OLDEST)
    added.input_queue.put(replace(frame("a", 0), discontinuity=True))
    for index in range(1, 4):
        added.input_queue.put(frame("a", index))
    batch = batcher.next()
    assert batch is not None
    assert [(each.index, each.discontinuity) for each in batch.sampled] == [(2, True), (3, False)]


def test_frames_in_flight_keep_their_room() -> None:
    batcher = batcher_of(2, 0.01)
    added = stream(batcher, "a", 8, capacity=8)
    stream(batcher, "b", 8)
    added.output_queue.put(frame("a", 9))
    held = [batcher.next() for _ in range(3)]
    for index in range(4):
        added.output_queue.put(frame("a", index))
    assert [len(batch.entries) for batch in held if batch] == [2, 2, 2]
    assert take(batcher) == [("b", 3), ("b", 4)], "five are out, three are in flight"
    for batch in held:
        assert batch is not None
        batcher.complete(batch)
    assert sorted(take(batcher)) == [("a", 3), ("b", 5)]
    assert added.in_flight == 0


def test_waits_for_work_and_wakes_for_it() -> None:
    batcher = batcher_of(1, LONG)
    added = batcher.add("a", input_capacity=2, output_capacity=2, overflow=Overflow.BLOCK)
    batches: list[Batch | None] = []
    engine = threading.Thread(target=lambda: batches.append(batcher.next()))
    engine.start()
    added.input_queue.put(frame("a", 7))
    engine.join(5)
    assert contents(batches[0]) == [("a", 7)]


def test_close_frees_the_engine() -> None:
    batcher = batcher_of(1, LONG)
    batches: list[Batch | None] = []
    engine = threading.Thread(target=lambda: batches.append(batcher.next()))
    engine.start()
    batcher.close()
    engine.join(5)
    assert batches == [None]


def live(batcher: Batcher, source: str) -> StreamState:
    return batcher.add(source, input_capacity=1, output_capacity=1, overflow=Overflow.DROP_OLDEST)


def test_live_frames_go_at_once_with_what_is_there() -> None:
    """A camera that has nothing, and a file that may have more, are not waited for."""
    batcher = batcher_of(8, LONG)
    for source in ("a", "b", "silent"):
        live(batcher, source)
    stream(batcher, "file", 1)
    for camera in list(batcher._streams)[:2]:
        camera.input_queue.put(frame(camera.source, 0))
    batches: list[Batch | None] = []
    engine = threading.Thread(target=lambda: batches.append(batcher.next()))
    engine.start()
    engine.join(LONG / 6)
    went = not engine.is_alive()
    batcher.close()
    engine.join()
    assert went, "they waited for others"
    assert sorted(contents(batches[0])) == [("a", 0), ("b", 0), ("file", 0)]


def test_a_source_of_sixty_frames_a_second_leaves_one_of_one_its_turn() -> None:
    """An engine that explains ten a second, one at a time, each the newest."""
    batcher = batcher_of(1, LONG)
    fast, slow = live(batcher, "fast"), live(batcher, "slow")
    explained: list[tuple[str, int]] = []
    for tenth in range(100):
        for step in range(6):
            fast.input_queue.put(frame("fast", 6 * tenth + step))
        if tenth % 10 == 0:
            slow.input_queue.put(frame("slow", tenth))
        explained += take(batcher)
    assert [index for source, index in explained if source == "slow"] == list(range(0, 100, 10))
    assert all(index % 6 == 5 for source, index in explained if source == "fast")
    assert slow.dropped.total() == 0
    assert fast.dropped == {"engine": 600 - 90}


def test_the_cause_of_a_dropped_frame() -> None:
    batcher = batcher_of(1, LONG)
    added = live(batcher, "a")
    added.input_queue.put(frame("a", 0))
    added.input_queue.put(frame("a", 1))
    assert added.dropped == {"engine": 1}
    added.output_queue.put(frame("a", 7))
    added.input_queue.put(frame("a", 2))
    assert added.dropped == {"engine": 1, "output": 1}


def test_parts_of_a_batch_keep_the_order_of_each() -> None:
    batcher = batcher_of(4, LONG)
    stream(batcher, "a", 3)
    stream(batcher, "b", 1)
    batch = batcher.next()
    assert batch is not None
    assert sorted(contents(part) for part in batch.by_source()) == [
        [("a", 0), ("a", 1), ("a", 2)],
        [("b", 0)],
    ]
