"""Gathers frames of many sources into batches, fairly and without waiting for slow ones."""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from streamcam.clock import Clock
from streamcam.pipeline.queue import BoundedQueue, Overflow
from streamcam.types import Frame, Item


@dataclass(eq=False, slots=True)
class StreamState:
    """The queues before and behind the engine of one source's stream, and its counts.

    Attributes:
        dropped: Frames that the input queue dropped, by what held them up: "output" where writing
            was slow, else "engine".
        in_flight: Frames between the two queues.
        lost_discontinuity: Whether a frame that was unrelated to the one before was dropped; the
            next one is taken for such a frame then.
    """

    source: str
    input_queue: BoundedQueue[Frame]
    output_queue: BoundedQueue[Item]
    dropped: Counter[str]
    in_flight: int = 0
    lost_discontinuity: bool = False

    @property
    def room(self) -> int:
        """How many frames may be taken with room for their results."""
        # In this order: a frame that is completed meanwhile counts twice rather than not at all.
        in_flight = self.in_flight
        return self.output_queue.room - in_flight


@dataclass(slots=True)
class Batch:
    """Frames in the order in which they were taken, each with its stream.

    Frames that are only passed on (`sampled=False`) are part of it, so that order is kept, but do
    not count towards the batch's size. Streams in `finished` have no more frames after these.
    """

    entries: list[tuple[StreamState, Frame]] = field(default_factory=list)
    finished: list[StreamState] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return any(state.input_queue.drops_oldest for state, _ in self.entries)

    @property
    def sampled(self) -> list[Frame]:
        return [frame for _, frame in self.entries if frame.sampled]

    def by_source(self) -> list["Batch"]:
        batches: dict[StreamState, Batch] = {}
        for state, frame in self.entries:
            batches.setdefault(state, Batch()).entries.append((state, frame))
        return list(batches.values())


class Batcher:
    """Round-robin over all streams, one sampled frame from each; the longest waiting comes first.

    So no stream gets more than its share, and a camera's frame is in the next batch unless there
    are more streams with frames than a batch has places. A stream whose output queue is full is
    passed over: its own decoder waits, while the engine goes on with the others.

    Args:
        size: Maximum number of sampled frames in a batch.
        max_wait: Seconds that a file's frame waits for others to share its batch.
    """

    def __init__(self, size: int, max_wait: float, clock: Clock) -> None:
        self._size = size
        self._max_wait = max_wait
        self._clock = clock
        # In the order in which a frame of theirs was last taken.
        self._streams: deque[StreamState] = deque()
        self._wake = threading.Condition()
        self._changed = False
        self._closed = False

    def add(
        self, source: str, input_capacity: int, output_capacity: int, overflow: Overflow
    ) -> StreamState:
        """Add a stream; `output_capacity` bounds its frames in the engine and behind it."""
        dropped: Counter[str] = Counter()
        output_queue: BoundedQueue[Item] = BoundedQueue(output_capacity, on_change=self._notify)

        def note_dropped(frame: Frame) -> None:
            dropped["engine" if output_queue.room else "output"] += 1
            state.lost_discontinuity |= frame.discontinuity

        input_queue = BoundedQueue(input_capacity, overflow, self._notify, note_dropped)
        state = StreamState(source, input_queue, output_queue, dropped)
        with self._wake:
            self._streams.append(state)
        return state

    @property
    def has_work(self) -> bool:
        """Whether a frame waits that could be taken."""
        with self._wake:
            return any(len(state.input_queue) and state.room > 0 for state in self._streams)

    @property
    def has_live(self) -> bool:
        with self._wake:
            return any(state.input_queue.drops_oldest for state in self._streams)

    def complete(self, batch: Batch) -> None:
        """Note that a batch's frames have left the engine: in output queues, or given up."""
        with self._wake:
            for state, _ in batch.entries:
                state.in_flight -= 1
        self._notify()

    def close(self) -> None:
        with self._wake:
            self._closed = True
        self._notify()

    def next(self) -> Batch | None:
        """Wait for frames and return a batch; None when the batcher was closed.

        A batch is returned when it is full, when its first frame has waited `max_wait`, or at once
        when a stream has ended or a live frame is in it: while the engine is busy, frames of other
        cameras gather anyway, and while it is not, waiting would only make them late.
        """
        batch = Batch()
        deadline: float | None = None
        while not self._closed:
            self._changed = False
            self._gather(batch)
            if batch.finished or batch.is_live or len(batch.sampled) >= self._size:
                return batch
            if batch.entries and deadline is None:
                deadline = self._clock.monotonic() + self._max_wait
            if deadline is not None and self._clock.monotonic() >= deadline:
                return batch
            self._wait(deadline)
        return None

    def _gather(self, batch: Batch) -> None:
        """Take frames in turn until the batch is full or no stream has one to give."""
        with self._wake:
            waiting = self._streams.copy()
        missing = self._size - len(batch.sampled)
        while waiting and missing > 0:
            state = waiting.popleft()
            frame = self._take(state, batch)
            if frame is not None:
                missing -= frame.sampled
                waiting.append(state)

    def _take(self, state: StreamState, batch: Batch) -> Frame | None:
        if state.room <= 0:
            return None
        frame = state.input_queue.take()
        if frame is not None:
            if state.lost_discontinuity:
                state.lost_discontinuity = False
                frame = replace(frame, discontinuity=True)
            batch.entries.append((state, frame))
            with self._wake:
                state.in_flight += 1
            if frame.sampled:
                self._move_to_end(state)
        elif state.input_queue.drained:
            with self._wake:
                self._streams.remove(state)
            batch.finished.append(state)
        return frame

    def _move_to_end(self, state: StreamState) -> None:
        with self._wake:
            self._streams.remove(state)
            self._streams.append(state)

    def _notify(self) -> None:
        with self._wake:
            self._changed = True
            self._wake.notify_all()

    def _wait(self, deadline: float | None) -> None:
        timeout = None if deadline is None else deadline - self._clock.monotonic()
        with self._wake:
            self._wake.wait_for(lambda: self._changed or self._closed, timeout)
