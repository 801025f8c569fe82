"""What waits to be told: a bounded queue in which the ends of events outlast everything else."""

import threading
from collections.abc import Callable
from dataclasses import replace

from streamcam.events.event import EventChange, EventStage

# The changes of one event take about 2 kB. An outage of an hour with an event every ten seconds
# makes 360 begins, 360 ends, and an update that waits for each.
_CAPACITY = 2000


class Outbox:
    """Changes of events in the order in which they are to be told; from any thread.

    Of each event one change of a stage waits at most: an update takes the place of the one before.
    When it is full, the oldest update is dropped first, then the oldest begin, and only without any
    the oldest end. Pictures are not kept: they would take megabytes each.

    Attributes:
        dropped: How many changes were given up.
    """

    def __init__(
        self, capacity: int = _CAPACITY, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._on_change = on_change
        self._lock = threading.Lock()
        self._changes: dict[tuple[str, EventStage], EventChange] = {}

    def put(self, change: EventChange) -> None:
        """Add a change; never waits."""
        key = (change.event.id, change.stage)
        with self._lock:
            waiting = self._changes.get(key)
            # What was told the last time is what the waiting one would have been compared with.
            before = change.before if waiting is None else waiting.before
            self._changes[key] = replace(change, before=before, picture=None)
            if len(self._changes) > self._capacity:
                del self._changes[self._least_important()]
                self.dropped += 1
        self._on_change()

    def take(self) -> EventChange | None:
        """Return the next change, None when there is none; never waits."""
        with self._lock:
            key = next(iter(self._changes), None)
            return None if key is None else self._changes.pop(key)

    def clear(self) -> int:
        """Give up all that waits; return how many changes that were."""
        with self._lock:
            count = len(self._changes)
            self._changes.clear()
            self.dropped += count
        return count

    def __len__(self) -> int:
        return len(self._changes)

    def _least_important(self) -> tuple[str, EventStage]:
        order = (EventStage.UPDATE, EventStage.NEW, EventStage.END)
        return next(key for stage in order for key in self._changes if key[1] is stage)
