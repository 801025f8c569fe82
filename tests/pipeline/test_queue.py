import threading

from streamcam.pipeline.queue import BoundedQueue, Overflow


def in_thread(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_items_come_out_in_order_until_the_end() -> None:
    queue: BoundedQueue[int] = BoundedQueue(capacity=3)
    producer = in_thread(lambda: ([queue.put(i) for i in range(100)], queue.close()))
    assert list(queue) == list(range(100))
    producer.join(5)
    assert queue.drained
    assert queue.dropped == 0


def test_blocking_queue_never_holds_more_than_its_capacity() -> None:
    queue: BoundedQueue[int] = BoundedQueue(capacity=2)
    producer = in_thread(lambda: ([queue.put(i) for i in range(50)], queue.close()))
    held = [len(queue) for _ in queue]
    producer.join(5)
    assert max(held) <= 2


def test_live_queue_keeps_the_newest_and_counts_the_dropped() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, Overflow.DROP_OLDEST)
    assert all(queue.put(i) for i in range(5))
    queue.close()
    assert list(queue) == [3, 4]
    assert queue.dropped == 3


def test_cancel_frees_a_producer_that_waits() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    queue.put(0)
    accepted: list[bool] = []
    producer = in_thread(lambda: accepted.append(queue.put(1)))
    queue.cancel()
    producer.join(5)
    assert not producer.is_alive()
    assert accepted == [False]
    assert queue.take() is None


def test_cancel_frees_a_consumer_that_waits() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    taken: list[int] = []
    consumer = in_thread(lambda: taken.extend(queue))
    queue.cancel()
    consumer.join(5)
    assert not consumer.is_alive()
    assert taken == []


def test_a_closed_queue_takes_no_more() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2)
    queue.put(1)
    queue.close()
    assert not queue.put(2)
    assert list(queue) == [1]


def test_every_change_is_announced() -> None:
    changes: list[int] = []
    queue: BoundedQueue[int] = BoundedQueue(2, on_change=lambda: changes.append(len(queue)))
    queue.put(1)
    queue.put(2)
    queue.take()
    queue.close()
    assert changes == [1, 2, 1, 1]


def test_dropped_items_are_passed_to_on_drop() -> None:
    dropped: list[int] = []
    queue: BoundedQueue[int] = BoundedQueue(2, Overflow.DROP_OLDEST, on_drop=dropped.append)
    for i in range(5):
        queue.put(i)
    queue.cancel()
    assert not queue.put(5)
    assert dropped == [0, 1, 2], "and neither what was cancelled nor what was not taken"
