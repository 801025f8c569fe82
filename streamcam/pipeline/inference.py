"""The street: one engine, and the ways of many sources through it."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from streamcam.clock import Clock
from streamcam.errors import DeviceError
from streamcam.pipeline.batcher import Batcher, StreamState
from streamcam.pipeline.queue import Overflow
from streamcam.pipeline.stages import Explains, InFlightBatch, Steps
from streamcam.pipeline.stream import Delivers, Stream
from streamcam.sources.base import Selector, Source

# One batch is looked at while the results of another are made.
_UNDERWAY = 2

# A file's frames in batches: one is being filled; behind it one is looked at, and one on either
# side of that is prepared, or drawn. Another batch before or behind was no quicker.
_BEFORE, _BEHIND = 1, 3

# A live source's frame waits for one forward at most, since a newer one takes its place; of what
# comes out one is drawn while the next arrives.
_LIVE_CAPACITY = 1


class InferencePipeline:
    """Owns the engine's three threads; use as a context manager.

    One prepares a batch, one looks at the batch before it, and one makes the results of the batch
    before that. While a live source is open, batches are formed only once they can be looked at:
    what is prepared early is late.

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
        self._batch = batch
        self._steps = Steps(engine, self._fail, clock or Clock())
        self._batcher = Batcher(batch, max_wait, clock)
        self._passages: dict[StreamState, Stream] = {}
        self._lock = threading.Lock()
        self._broken: DeviceError | None = None
        self._places = threading.Semaphore(_UNDERWAY)
        self._turn = threading.Semaphore()
        # Whether a batch is formed, or was, by a thread that does not have the turn.
        self._ahead = False
        self._prepared: SimpleQueue[InFlightBatch | None] = SimpleQueue()
        self._looked: SimpleQueue[InFlightBatch | None] = SimpleQueue()
        steps = {
            "prepare": self._prepare_all,
            "engine": self._look_at_all,
            "maps": self._finish_all,
        }
        self._threads = [
            threading.Thread(target=work, name=f"streamcam {name}", daemon=True)
            for name, work in steps.items()
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
        underway = self._begun > self.finished or self._batcher.has_work
        return underway and self._broken is None

    def open(
        self,
        source: Source,
        selector: Selector,
        delivery: Delivers,
        *,
        overflow: Overflow = Overflow.BLOCK,
        every: bool = False,
    ) -> Stream:
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
            before, behind = self._batch * _BEFORE, self._batch * _BEHIND
            if overflow is Overflow.DROP_OLDEST:
                before = behind = _LIVE_CAPACITY
            track = self._batcher.add(
                source.info.id, before=before, behind=behind, overflow=overflow
            )
            passage = Stream(source, selector, delivery, track, every=every)
            self._passages[track] = passage
        return passage

    # The three threads

    def _prepare_all(self) -> None:
        """Form and prepare batch after batch, until the batcher is closed."""
        while (underway := self._next_in_turn()) is not None:
            self._prepared.put(underway)
        self._prepared.put(None)

    def _next_in_turn(self) -> InFlightBatch | None:
        """Return the next batch once it may be looked at; form it before that where it may wait."""
        with self._lock:
            self._ahead = not self._batcher.has_live
        if self._ahead:
            underway = self._form()
            self._wait_for_turn()
        else:
            self._wait_for_turn()
            underway = self._form()
        return underway

    def _wait_for_turn(self) -> None:
        # A place that is held while waiting would be missing where it is needed.
        self._turn.acquire()
        self._places.acquire()

    def _form(self) -> InFlightBatch | None:
        """Wait for the next batch and prepare it; None when the batcher is closed."""
        batch = self._batcher.next()
        if batch is None:
            return None
        self._begun += 1
        underway = self._steps.start(batch)
        self._steps.carry(underway)
        return underway

    def _look_at_all(self) -> None:
        """Look at all that was prepared."""
        while (underway := self._prepared.get()) is not None:
            self._look(underway)
            self._look_while_live()
            self._turn.release()
        self._looked.put(None)

    def _look_while_live(self) -> None:
        """Keep the turn while a live source is open: its batches are formed here, without delay.

        By the time another thread had formed one, some of the cameras whose frames were just looked
        at would be in it and some not, by chance.
        """
        while self._only_live():
            self._places.acquire()
            underway = self._form()
            if underway is None:
                return
            self._look(underway)

    def _only_live(self) -> bool:
        """Whether a live source is open, and nothing from before that waits to be looked at."""
        with self._lock:
            return self._batcher.has_live and not self._ahead

    def _look(self, underway: InFlightBatch) -> None:
        self._steps.carry(underway)
        self._looked.put(underway)

    def _finish_all(self) -> None:
        """Make the results of all that was looked at, and send them on."""
        while (underway := self._looked.get()) is not None:
            self._steps.carry(underway)
            self._deliver(underway)
            self._batcher.landed(underway.batch)
            self._end(underway.batch.finished)
            self.finished += 1
            self._places.release()

    def _deliver(self, underway: InFlightBatch) -> None:
        """Send every item of a batch on, in order, to its own tail."""
        for part in underway.parts:
            if part.batch.sampled:
                self._on_batch(part.seconds)
            results = iter(part.left)
            for track, frame in part.batch.entries:
                track.outbox.put(next(results) if frame.sampled else frame)
        if underway.broken is not None:
            self._break(underway.broken)

    def _end(self, tracks: Sequence[StreamState]) -> None:
        for track in tracks:
            self._engine.forget(track.source)
            track.outbox.close()
            with self._lock:
                passage = self._passages.pop(track, None)
            if passage is not None:
                passage.ended.set()

    def _fail(self, track: StreamState, error: Exception) -> None:
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

    def _cancel_all(self) -> None:
        for track, passage in list(self._passages.items()):
            passage.stop()
            track.inbox.cancel()
            track.outbox.close()
            passage.ended.set()
