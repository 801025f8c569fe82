import threading
from fractions import Fraction

import numpy as np

from streamcam.pipeline.batcher import Batch, Batcher, StreamState
from streamcam.pipeline.queue import Overflow
from streamcam.types import Frame

PICTURE = np.zeros((2, 2, 3), np.uint8)
LONG = 30.0


def frame(source: str, index: int, *, sampled: bool = True) -> Frame:
    return Frame(source, index, index, Fraction(1, 10), index / 10, PICTURE, sampled=sampled)


def track(batcher: Batcher, source: str, count: int, capacity: int = 100) -> StreamState:
    added = batcher.add(source, before=capacity, behind=capacity, overflow=Overflow.BLOCK)
    for index in range(count):
        added.inbox.put(frame(source, index))
    return added


def contents(batch: Batch | None) -> list[tuple[str, int]]:
    assert batch is not None
    return [(owner.source, taken.index) for owner, taken in batch.entries]


def take(batcher: Batcher) -> list[tuple[str, int]]:
    """What is in the next batch; it is done with at once."""
    batch = batcher.next()
    assert batch is not None
    batcher.landed(batch)
    return contents(batch)


def test_a_batch_is_shared_fairly_between_sources() -> None:
    batcher = Batcher(size=6, max_wait=LONG)
    for source, count in (("a", 50), ("b", 1), ("c", 2)):
        track(batcher, source, count)
    taken = take(batcher)
    assert sorted(taken) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1)]


def test_a_fast_source_cannot_starve_a_slow_one_when_batches_are_small() -> None:
    batcher = Batcher(size=1, max_wait=LONG)
    track(batcher, "fast", 50)
    track(batcher, "slow", 3)
    first = [take(batcher)[0][0] for _ in range(6)]
    assert first.count("slow") == 3


def test_batches_too_small_for_all_take_turns_without_gaps() -> None:
    batcher = Batcher(size=4, max_wait=LONG)
    for number in range(8):
        track(batcher, str(number), 50)
    taken = [{source for source, _ in take(batcher)} for _ in range(6)]
    assert all(len(sources) == 4 for sources in taken)
    assert taken[0] | taken[1] == set("01234567")
    assert taken == [taken[0], taken[1]] * 3


def test_who_has_waited_longest_is_in_the_next_batch() -> None:
    batcher = Batcher(size=4, max_wait=LONG)
    slow = track(batcher, "slow", 0)
    for number in range(8):
        track(batcher, str(number), 50)
    for index in range(5):
        for _ in range(3):
            assert "slow" not in {source for source, _ in take(batcher)}
        slow.inbox.put(frame("slow", index))
        assert ("slow", index) in take(batcher)


def test_a_partial_batch_goes_when_it_has_waited() -> None:
    batcher = Batcher(size=8, max_wait=0.01)
    track(batcher, "a", 3)
    assert take(batcher) == [("a", 0), ("a", 1), ("a", 2)]


def test_frames_that_only_pass_keep_their_place_and_do_not_fill_the_batch() -> None:
    batcher = Batcher(size=2, max_wait=LONG)
    added = batcher.add("a", before=100, behind=100, overflow=Overflow.BLOCK)
    for index in range(8):
        added.inbox.put(frame("a", index, sampled=index % 3 == 0))
    batch = batcher.next()
    assert [index for _, index in contents(batch)] == [0, 1, 2, 3]
    assert batch is not None
    assert [taken.index for taken in batch.sampled] == [0, 3]


def test_the_end_of_a_source_is_announced_once_everything_was_taken() -> None:
    batcher = Batcher(size=4, max_wait=LONG)
    added = track(batcher, "a", 2)
    added.inbox.close()
    batch = batcher.next()
    assert batch is not None
    assert contents(batch) == [("a", 0), ("a", 1)]
    assert batch.finished == [added]


def test_a_slow_tail_pauses_only_its_own_source() -> None:
    batcher = Batcher(size=4, max_wait=0.01)
    slow = track(batcher, "slow", 2, capacity=2)
    track(batcher, "quick", 50)
    for index in range(2):
        slow.outbox.put(frame("slow", index))
    assert {source for source, _ in take(batcher)} == {"quick"}
    slow.outbox.take()
    assert take(batcher).count(("slow", 0)) == 1


def test_never_takes_more_than_the_tail_has_room_for() -> None:
    batcher = Batcher(size=8, max_wait=0.01)
    added = batcher.add("a", before=3, behind=3, overflow=Overflow.DROP_OLDEST)
    for index in range(8):
        added.inbox.put(frame("a", index))
    added.outbox.put(frame("a", 0))
    assert take(batcher) == [("a", 5), ("a", 6)]
    assert added.inbox.dropped == 5


def test_what_is_under_way_keeps_its_room() -> None:
    batcher = Batcher(size=2, max_wait=0.01)
    added = track(batcher, "a", 8, capacity=8)
    track(batcher, "b", 8)
    added.outbox.put(frame("a", 9))
    held = [batcher.next() for _ in range(3)]
    for index in range(4):
        added.outbox.put(frame("a", index))
    assert [len(batch.entries) for batch in held if batch] == [2, 2, 2]
    assert take(batcher) == [("b", 3), ("b", 4)], "five are out, three are under way"
    for batch in held:
        assert batch is not None
        batcher.landed(batch)
    assert sorted(take(batcher)) == [("a", 3), ("b", 5)]
    assert added.underway == 0


def test_waits_for_work_and_wakes_for_it() -> None:
    batcher = Batcher(size=1, max_wait=LONG)
    added = batcher.add("a", before=2, behind=2, overflow=Overflow.BLOCK)
    batches: list[Batch | None] = []
    engine = threading.Thread(target=lambda: batches.append(batcher.next()))
    engine.start()
    added.inbox.put(frame("a", 7))
    engine.join(5)
    assert contents(batches[0]) == [("a", 7)]


def test_close_frees_the_engine() -> None:
    batcher = Batcher(size=1, max_wait=LONG)
    batches: list[Batch | None] = []
    engine = threading.Thread(target=lambda: batches.append(batcher.next()))
    engine.start()
    batcher.close()
    engine.join(5)
    assert batches == [None]


def live(batcher: Batcher, source: str) -> StreamState:
    return batcher.add(source, before=1, behind=1, overflow=Overflow.DROP_OLDEST)


def test_live_frames_go_at_once_with_what_is_there() -> None:
    """A camera that has nothing, and a file that may have more, are not waited for."""
    batcher = Batcher(size=8, max_wait=LONG)
    for source in ("a", "b", "silent"):
        live(batcher, source)
    track(batcher, "file", 1)
    for camera in list(batcher._tracks)[:2]:
        camera.inbox.put(frame(camera.source, 0))
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
    batcher = Batcher(size=1, max_wait=LONG)
    fast, slow = live(batcher, "fast"), live(batcher, "slow")
    explained: list[tuple[str, int]] = []
    for tenth in range(100):
        for step in range(6):
            fast.inbox.put(frame("fast", 6 * tenth + step))
        if tenth % 10 == 0:
            slow.inbox.put(frame("slow", tenth))
        explained += take(batcher)
    assert [index for source, index in explained if source == "slow"] == list(range(0, 100, 10))
    assert all(index % 6 == 5 for source, index in explained if source == "fast")
    assert slow.dropped.total() == 0
    assert fast.dropped == {"engine": 600 - 90}


def test_who_is_to_blame_for_a_frame_that_is_given_up() -> None:
    batcher = Batcher(size=1, max_wait=LONG)
    added = live(batcher, "a")
    added.inbox.put(frame("a", 0))
    added.inbox.put(frame("a", 1))
    assert added.dropped == {"engine": 1}
    added.outbox.put(frame("a", 7))
    added.inbox.put(frame("a", 2))
    assert added.dropped == {"engine": 1, "output": 1}


def test_parts_of_a_batch_keep_the_order_of_each() -> None:
    batcher = Batcher(size=4, max_wait=LONG)
    track(batcher, "a", 3)
    track(batcher, "b", 1)
    batch = batcher.next()
    assert batch is not None
    assert sorted(contents(part) for part in batch.parts()) == [
        [("a", 0), ("a", 1), ("a", 2)],
        [("b", 0)],
    ]
