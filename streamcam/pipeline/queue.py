"""A bounded queue between two threads of one source's way."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full lane does with one more item."""

    BLOCK = "block"
    """The giver waits: nothing is lost (files)."""

    DROP_OLDEST = "drop_oldest"
    """The oldest item is given up and counted: nothing gets late (live sources)."""


class BoundedQueue(Generic[T]):
    """A bounded first-in-first-out queue that can be closed from either end.

    The giver calls `close` when there is no more; the taker then drains it. Anybody calls `cancel`
    to give up what is in it and to wake whoever waits.

    Args:
        capacity: How many items it holds.
        overflow: What `put` does when it is full.
        on_change: Called, without any lock held, after every change; must be quick.
        on_drop: Called with each item that is given up because the lane is full; must be quick.
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
        self._dropped = 0

    def put(self, item: T) -> bool:
        """Append an item; wait or drop as `overflow` says.

        Returns:
            False when the lane is closed: the item was not taken and none will be.
        """
        with self._changed:
            if self._overflow is Overflow.BLOCK:
                self._changed.wait_for(lambda: self._closed or self.room > 0)
            if self._closed:
                return False
            if not self.room:
                self._on_drop(self._items.popleft())
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()
        self._on_change()
        return True

    def take(self) -> T | None:
        """Return the next item, or None when there is none right now."""
        with self._changed:
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
        self._on_change()
        return item

    def __iter__(self) -> Iterator[T]:
        """Yield items until the lane is closed and empty; wait for them."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._items)
            item = self.take()
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Take no more items; what is in it may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._on_change()

    def cancel(self) -> None:
        """Take no more items and forget what is in it."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        self._on_change()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def room(self) -> int:
        """How many items fit right now."""
        return self._capacity - len(self._items)

    @property
    def dropped(self) -> int:
        """How many items were given up because the lane was full."""
        return self._dropped

    @property
    def newest_only(self) -> bool:
        """Whether it gives up old items rather than make the giver wait."""
        return self._overflow is Overflow.DROP_OLDEST

    @property
    def drained(self) -> bool:
        """Whether the lane is closed and empty: nothing will ever come out again."""
        return self._closed and not self._items
