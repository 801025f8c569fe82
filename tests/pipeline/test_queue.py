import threading

from streamcam.pipeline.queue import BoundedQueue, Overflow


def in_thread(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_items_come_out_in_order_until_the_end() -> None:
    lane: BoundedQueue[int] = BoundedQueue(capacity=3)
    giver = in_thread(lambda: ([lane.put(i) for i in range(100)], lane.close()))
    assert list(lane) == list(range(100))
    giver.join(5)
    assert lane.drained
    assert lane.dropped == 0


def test_blocking_lane_never_holds_more_than_its_capacity() -> None:
    lane: BoundedQueue[int] = BoundedQueue(capacity=2)
    giver = in_thread(lambda: ([lane.put(i) for i in range(50)], lane.close()))
    held = [len(lane) for _ in lane]
    giver.join(5)
    assert max(held) <= 2


def test_live_lane_keeps_the_newest_and_counts_what_it_gave_up() -> None:
    lane: BoundedQueue[int] = BoundedQueue(2, Overflow.DROP_OLDEST)
    assert all(lane.put(i) for i in range(5))
    lane.close()
    assert list(lane) == [3, 4]
    assert lane.dropped == 3


def test_cancel_frees_a_giver_that_waits() -> None:
    lane: BoundedQueue[int] = BoundedQueue(1)
    lane.put(0)
    accepted: list[bool] = []
    giver = in_thread(lambda: accepted.append(lane.put(1)))
    lane.cancel()
    giver.join(5)
    assert not giver.is_alive()
    assert accepted == [False]
    assert lane.take() is None


def test_cancel_frees_a_taker_that_waits() -> None:
    lane: BoundedQueue[int] = BoundedQueue(1)
    taken: list[int] = []
    taker = in_thread(lambda: taken.extend(lane))
    lane.cancel()
    taker.join(5)
    assert not taker.is_alive()
    assert taken == []


def test_a_closed_lane_takes_no_more() -> None:
    lane: BoundedQueue[int] = BoundedQueue(2)
    lane.put(1)
    lane.close()
    assert not lane.put(2)
    assert list(lane) == [1]


def test_every_change_is_announced() -> None:
    changes: list[int] = []
    lane: BoundedQueue[int] = BoundedQueue(2, on_change=lambda: changes.append(len(lane)))
    lane.put(1)
    lane.put(2)
    lane.take()
    lane.close()
    assert changes == [1, 2, 1, 1]


def test_what_is_given_up_is_handed_over() -> None:
    given_up: list[int] = []
    lane: BoundedQueue[int] = BoundedQueue(2, Overflow.DROP_OLDEST, on_drop=given_up.append)
    for i in range(5):
        lane.put(i)
    lane.cancel()
    assert not lane.put(5)
    assert given_up == [0, 1, 2], "and neither what was cancelled nor what was not taken"
