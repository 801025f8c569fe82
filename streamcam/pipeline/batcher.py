"""Gathers frames of many sources into batches, fairly and without waiting for slow ones."""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from streamcam.clock import Clock
from streamcam.pipeline.queue import BoundedQueue, Overflow
from streamcam.types import Frame, Item


@dataclass(eq=False, slots=True)
class StreamState:
    """One source's way through the engine.

    Attributes:
        source: Id of the source.
        inbox: Frames on their way to the engine.
        outbox: Items on their way to the tail.
        dropped: Frames that the inbox gave up, by what kept them from going on: "output" where the
            tail was slow, else "engine".
        underway: Frames between the two.
    """

    source: str
    inbox: BoundedQueue[Frame]
    outbox: BoundedQueue[Item]
    dropped: Counter[str]
    underway: int = 0

    @property
    def room(self) -> int:
        """How many frames may be taken, so that there is room for what becomes of them."""
        # In this order: what lands in the outbox meanwhile counts twice rather than not at all.
        underway = self.underway
        return self.outbox.room - underway


@dataclass(slots=True)
class Batch:
    """Items in the order in which they were taken, each with its track.

    Frames that only pass (`sampled=False`) travel along, so that order is kept, but do not count
    towards the batch's size.
    """

    entries: list[tuple[StreamState, Frame]] = field(default_factory=list)
    finished: list[StreamState] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether a frame in it is from a source that cannot wait."""
        return any(track.inbox.newest_only for track, _ in self.entries)

    @property
    def sampled(self) -> list[Frame]:
        """The frames that the engine has to explain."""
        return [frame for _, frame in self.entries if frame.sampled]

    def parts(self) -> list["Batch"]:
        """Return the entries of each track as a batch of its own."""
        parts: dict[StreamState, Batch] = {}
        for track, frame in self.entries:
            parts.setdefault(track, Batch()).entries.append((track, frame))
        return list(parts.values())


class Batcher:
    """Takes turns over all tracks, one sampled frame from each; who waited longest comes first.

    So no track gets more than its share, and a camera's frame that comes in is in the next batch,
    unless so many other tracks want more than they get.

    A track whose outbox is full is passed over: its tail is slow, so its own head has to wait,
    while the engine goes on with the others.

    Args:
        size: Most sampled frames in a batch.
        max_wait: Seconds that a file's frame waits for others to share its batch.
        clock: Where the time comes from.
    """

    def __init__(self, size: int, max_wait: float, clock: Clock | None = None) -> None:
        self._size = size
        self._max_wait = max_wait
        self._clock = clock or Clock()
        # In the order in which they had their last turns.
        self._tracks: deque[StreamState] = deque()
        self._wake = threading.Condition()
        self._changed = False
        self._closed = False

    def add(self, source: str, *, before: int, behind: int, overflow: Overflow) -> StreamState:
        """Open a track for a source.

        Args:
            source: Id of the source.
            before: Frames that may wait for the engine.
            behind: Frames that may be in the engine, and wait for the tail.
            overflow: What the inbox does when it is full.
        """
        dropped: Counter[str] = Counter()
        outbox: BoundedQueue[Item] = BoundedQueue(behind, on_change=self._notify)

        def drop(_: Frame) -> None:
            dropped["engine" if outbox.room else "output"] += 1

        inbox = BoundedQueue(before, overflow, self._notify, drop)
        track = StreamState(source, inbox, outbox, dropped)
        with self._wake:
            self._tracks.append(track)
        return track

    @property
    def has_work(self) -> bool:
        """Whether a frame waits that could go on."""
        with self._wake:
            return any(len(track.inbox) and track.room > 0 for track in self._tracks)

    @property
    def has_live(self) -> bool:
        """Whether a source is open that cannot wait."""
        with self._wake:
            return any(track.inbox.newest_only for track in self._tracks)

    def landed(self, batch: Batch) -> None:
        """Note that a batch's frames are under way no more: in their outboxes, or given up."""
        with self._wake:
            for track, _ in batch.entries:
                track.underway -= 1
        self._notify()

    def close(self) -> None:
        """Make `next` return None soon."""
        with self._wake:
            self._closed = True
        self._notify()

    def next(self) -> Batch | None:
        """Wait for work and return it; None when the batcher was closed.

        A batch is returned when it is full, when its first frame has waited `max_wait`, or at once
        when a track has ended or there is a live frame in it: where the engine is busy, those of
        other cameras gather meanwhile, and where it is not, waiting would only make them late.
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
        """Take turns over the tracks until the batch is full or nobody has anything to give."""
        with self._wake:
            turns = self._tracks.copy()
        missing = self._size - len(batch.sampled)
        while turns and missing > 0:
            track = turns.popleft()
            frame = self._take(track, batch)
            if frame is not None:
                missing -= frame.sampled
                turns.append(track)

    def _take(self, track: StreamState, batch: Batch) -> Frame | None:
        if track.room <= 0:
            return None
        frame = track.inbox.take()
        if frame is not None:
            batch.entries.append((track, frame))
            with self._wake:
                track.underway += 1
            if frame.sampled:
                self._had_its_turn(track)
        elif track.inbox.drained:
            with self._wake:
                self._tracks.remove(track)
            batch.finished.append(track)
        return frame

    def _had_its_turn(self, track: StreamState) -> None:
        with self._wake:
            self._tracks.remove(track)
            self._tracks.append(track)

    def _notify(self) -> None:
        with self._wake:
            self._changed = True
            self._wake.notify_all()

    def _wait(self, deadline: float | None) -> None:
        timeout = None if deadline is None else deadline - self._clock.monotonic()
        with self._wake:
            self._wake.wait_for(lambda: self._changed or self._closed, timeout)
