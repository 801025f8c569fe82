"""The street: one engine, and the ways of many sources through it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol, Self

from streamcam.clock import Clock
from streamcam.errors import DeviceError
from streamcam.pipeline.batcher import Batch, Batcher, Track
from streamcam.pipeline.lane import Overflow
from streamcam.records import Frame, FrameResult, Item
from streamcam.sources.base import Selector, Source

# One batch is looked at while the results of another are made.
_UNDERWAY = 2

# A live source's frame waits for one forward at most, since a newer one takes its place; of what
# comes out one is drawn while the next arrives.
_LIVE_CAPACITY = 1


Rest = Callable[[], list[FrameResult]]
"""What is left to do for a batch that was looked at: it gives the results, in its frames' order."""


class Explains(Protocol):
    """What the street asks of an engine."""

    def begin(self, frames: Sequence[Frame]) -> Rest:
        """Look at frames of any sources and sizes in one pass, and return what is left to do."""
        ...

    def forget(self, source: str) -> None:
        """Drop what is kept for a source that has ended; from the thread that does the rest."""
        ...


class Delivers(Protocol):
    """What the street asks of a tail; called from the thread that runs the passage."""

    def write(self, item: Item) -> None:
        """Take one item."""
        ...


class Passage:
    """The way of one source: a head thread decodes, the engine explains, the caller delivers.

    Made by `Street.open`; run once.

    Attributes:
        received: How many frames came from the source.
        delivered: How many items went out.
        stopped: Whether it was asked to end early.
        ended: Set once the engine has done with the source.
    """

    def __init__(
        self, source: Source, selector: Selector, delivery: Delivers, track: Track, *, every: bool
    ) -> None:
        self._source = source
        self._selector = selector
        self._delivery = delivery
        self._track = track
        self._every = every
        self._fault: Exception | None = None
        self.received = 0
        self.delivered = 0
        self.stopped = False
        self.ended = threading.Event()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that were received and given up, by cause: "engine", "output", "stop", "fault"."""
        return self._track.dropped

    def run(self, on_item: Callable[[Item], None] = lambda _: None) -> None:
        """Carry the source through to its end, in the calling thread and a head of its own.

        Args:
            on_item: Called after each item was delivered.

        Raises:
            StreamcamError: The first fault on the way. What was delivered before it stays with the
                delivery, to be finished or aborted by the caller.
        """
        head = threading.Thread(
            target=self._decode, name=f"streamcam head {self._track.source}", daemon=True
        )
        head.start()
        try:
            for item in self._track.outbox:
                self._delivery.write(item)
                self.delivered += 1
                on_item(item)
        except Exception as error:  # noqa: BLE001 - raised below, once all is accounted for
            self.fail(error)
        finally:
            self.cancel()
            head.join()
            self._write_off()
        if self._fault is not None:
            raise self._fault

    def _decode(self) -> None:
        try:
            for frame in self._source.frames(self._selector, every=self._every):
                self.received += 1
                if not self._track.inbox.put(frame):
                    break
        except Exception as error:  # noqa: BLE001 - re-raised in the thread that called `run`
            self.fail(error)
        finally:
            self._track.inbox.close()

    def _write_off(self) -> None:
        """Account for what was on its way when the passage ended."""
        left = self.received - self.delivered - self._track.dropped.total()
        if left:
            self._track.dropped["stop" if self._fault is None else "fault"] += left

    def fail(self, error: Exception) -> None:
        """Note the first fault; `run` raises it at the end."""
        self._fault = self._fault or error

    def stop(self) -> None:
        """End early: frames already on their way are delivered. From any thread."""
        self.stopped = True
        self._source.interrupt()

    def cancel(self) -> None:
        """Give up what is on its way. From any thread."""
        self._source.interrupt()
        self._track.inbox.cancel()
        self._track.outbox.cancel()


@dataclass(frozen=True, slots=True)
class _Part:
    """What was looked at together.

    Attributes:
        batch: The items.
        rest: What makes the results of them.
        seconds: What looking took.
    """

    batch: Batch
    rest: Rest
    seconds: float


class Street:
    """Owns the engine's two threads; use as a context manager.

    While one makes the maps and results of a batch, the other looks at the next.

    Args:
        engine: Explains batches of frames.
        batch: Most frames in one forward pass.
        max_wait: Seconds that a file's frame waits for others to share its batch.
        on_batch: Told of each batch's seconds in the engine, from its thread; must be quick.
        clock: Where the time comes from.

    Attributes:
        finished: Counts the batches that the engine has done with.
    """

    def __init__(
        self,
        engine: Explains,
        *,
        batch: int,
        max_wait: float,
        on_batch: Callable[[float], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self.finished = 0
        self._begun = 0
        self._engine = engine
        self._on_batch = on_batch
        self._clock = clock or Clock()
        # Two batches on either side: one being worked on, one ready to follow without a pause. A
        # third was no quicker.
        self._capacity = 2 * batch
        self._batcher = Batcher(batch, max_wait, clock)
        self._passages: dict[Track, Passage] = {}
        self._lock = threading.Lock()
        self._broken: DeviceError | None = None
        self._places = threading.Semaphore(_UNDERWAY)
        self._looked: SimpleQueue[tuple[Batch, list[_Part]] | DeviceError | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"streamcam {name}", daemon=True)
            for name, work in (("engine", self._look_at_all), ("maps", self._finish_all))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._batcher.close()
        for thread in self._threads:
            thread.join()
        self._cancel_all()

    @property
    def busy(self) -> bool:
        """Whether the engine has frames in hand, or could have them. From any thread."""
        return self._begun > self.finished or self._batcher.has_work

    def open(
        self,
        source: Source,
        selector: Selector,
        delivery: Delivers,
        *,
        overflow: Overflow = Overflow.BLOCK,
        every: bool = False,
    ) -> Passage:
        """Give a source its way through the engine.

        Args:
            source: An open source.
            selector: Which of its frames are explained.
            delivery: Where its results go.
            overflow: What happens to frames that come faster than the engine takes them.
            every: Carry the frames that are not explained too.

        Raises:
            DeviceError: The engine has failed for good.
        """
        with self._lock:
            if self._broken is not None:
                raise self._broken
            live = overflow is Overflow.DROP_OLDEST
            capacity = _LIVE_CAPACITY if live else self._capacity
            track = self._batcher.add(source.info.id, capacity=capacity, overflow=overflow)
            passage = Passage(source, selector, delivery, track, every=every)
            self._passages[track] = passage
        return passage

    def _look_at_all(self) -> None:
        """Look at batch after batch, until the batcher is closed or the engine has failed."""
        try:
            while (batch := self._next()) is not None:
                self._begun += 1
                self._looked.put((batch, self._look_or_fail(batch)))
            self._looked.put(None)
        except DeviceError as error:
            self._looked.put(error)

    def _next(self) -> Batch | None:
        self._places.acquire()
        return self._batcher.next()

    def _finish_all(self) -> None:
        """Make the results of all that was looked at, and send them on."""
        while (looked := self._looked.get()) is not None:
            if isinstance(looked, DeviceError):
                self._break(looked)
                return
            batch, parts = looked
            try:
                for part in parts:
                    self._finish_or_fail(part)
            except DeviceError as error:
                self._break(error)
            self._batcher.landed(batch)
            self._end(batch.finished)
            self.finished += 1
            self._places.release()

    def _look_or_fail(self, batch: Batch) -> list[_Part]:
        """Look at a batch; where that fails, at each source's part alone: the guilty one fails.

        Raises:
            DeviceError: The engine has failed for good.
        """
        try:
            return [self._look(batch)]
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            parts = self._parts_of_failed(batch, error)
            return [looked for part in parts for looked in self._look_or_fail(part)]

    def _finish_or_fail(self, part: _Part) -> None:
        """The same for the results: each source's part is looked at once more, alone.

        Raises:
            DeviceError: The engine has failed for good.
        """
        try:
            self._finish(part)
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            for own in self._parts_of_failed(part.batch, error):
                for looked in self._look_or_fail(own):
                    self._finish_or_fail(looked)

    def _parts_of_failed(self, batch: Batch, error: Exception) -> list[Batch]:
        """The sources' parts of a batch that failed; none where it is one source's, which fails."""
        parts = batch.parts()
        if len(parts) > 1:
            return parts
        self._fail(batch.entries[0][0], error)
        return []

    def _look(self, batch: Batch) -> _Part:
        begun = self._clock.monotonic()
        sampled = batch.sampled
        rest = self._engine.begin(sampled) if sampled else list
        return _Part(batch, rest, self._clock.monotonic() - begun)

    def _finish(self, part: _Part) -> None:
        """Send every item of a part on, in order, to its own tail."""
        begun = self._clock.monotonic()
        results = iter(part.rest())
        if part.batch.sampled:
            self._on_batch(part.seconds + self._clock.monotonic() - begun)
        for track, frame in part.batch.entries:
            track.outbox.put(next(results) if frame.sampled else frame)

    def _end(self, tracks: Sequence[Track]) -> None:
        for track in tracks:
            self._engine.forget(track.source)
            track.outbox.close()
            with self._lock:
                passage = self._passages.pop(track, None)
            if passage is not None:
                passage.ended.set()

    def _fail(self, track: Track, error: Exception) -> None:
        passage = self._passages.get(track)
        if passage is not None:
            passage.fail(error)
            passage.stop()
            track.inbox.cancel()
            # What of it was looked at meanwhile would leave a gap.
            track.outbox.close()

    def _break(self, error: DeviceError) -> None:
        with self._lock:
            self._broken = self._broken or error
            passages = list(self._passages.values())
        for passage in passages:
            passage.fail(error)
        self._cancel_all()
        self._batcher.close()
        self.finished = self._begun

    def _cancel_all(self) -> None:
        for track, passage in list(self._passages.items()):
            passage.stop()
            track.inbox.cancel()
            track.outbox.close()
            passage.ended.set()
