"""A bounded queue between two threads of a stream."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Overflow(StrEnum):
    BLOCK = "block"
    """The producer waits: nothing is lost (files)."""

    DROP_OLDEST = "drop_oldest"
    """The oldest item is dropped and counted: nothing gets late (live sources)."""


class BoundedQueue(Generic[T]):
    """A bounded first-in-first-out queue that can be closed from either end.

    The producer calls `close` when there is no more; the consumer then drains it. Anybody may call
    `cancel` to discard its items and wake whoever waits. `dropped` counts the items that were
    dropped because the queue was full.

    Args:
        capacity: Maximum number of items.
        on_change: Called, without any lock held, after every change; must be quick.
        on_drop: Called with each item that is dropped because the queue is full; must be quick.
    """

    def __init__(
        self,
        capacity: int,
        overflow: Overflow = Overflow.BLOCK,
        on_change: Callable[[], None] = lambda: None,
        on_drop: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._overflow = overflow
        self._on_change = on_change
        self._on_drop = on_drop
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> bool:
        """Append an item; return False where the queue is closed, which takes none any more."""
        with self._changed:
            if self._overflow is Overflow.BLOCK:
                self._changed.wait_for(lambda: self._closed or self.room > 0)
            if self._closed:
                return False
            if not self.room:
                self._on_drop(self._items.popleft())
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()
        self._on_change()
        return True

    def take(self) -> T | None:
        """Return the next item, None when there is none right now; never waits."""
        with self._changed:
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
        self._on_change()
        return item

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._items)
            item = self.take()
            if item is None:
                return
            yield item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._on_change()

    def cancel(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        self._on_change()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def room(self) -> int:
        return self._capacity - len(self._items)

    @property
    def drops_oldest(self) -> bool:
        return self._overflow is Overflow.DROP_OLDEST

    @property
    def drained(self) -> bool:
        return self._closed and not self._items
