"""The street: one engine, and the ways of many sources through it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from streamcam.clock import Clock
from streamcam.errors import DeviceError
from streamcam.pipeline.batcher import Batch, Batcher, Track
from streamcam.pipeline.lane import Overflow
from streamcam.pipeline.passage import Delivers, Passage
from streamcam.records import Frame, Look
from streamcam.sources.base import Selector, Source

# One batch is looked at while the results of another are made.
_UNDERWAY = 2

# A file's frames in batches: one is being filled; behind it one is looked at, and one on either
# side of that is prepared, or drawn. Another batch before or behind was no quicker.
_BEFORE, _BEHIND = 1, 3

# A live source's frame waits for one forward at most, since a newer one takes its place; of what
# comes out one is drawn while the next arrives.
_LIVE_CAPACITY = 1


class Explains(Protocol):
    """What the street asks of an engine: a batch takes three steps, each in a thread of its own."""

    def prepare(self, frames: Sequence[Frame]) -> Look:
        """Make frames of any sources and sizes ready for one pass; return the steps to come."""
        ...

    def forget(self, source: str) -> None:
        """Drop what is kept for a source that has ended; from the thread of the last step."""
        ...


@dataclass(frozen=True, slots=True)
class _Part:
    """What goes through the engine together.

    Attributes:
        batch: The items.
        left: What is to be done with them: a step, which gives the one after it, and at last the
            results.
        seconds: What the steps so far took.
    """

    batch: Batch
    left: Any
    seconds: float = 0.0


@dataclass(slots=True)
class _Underway:
    """A batch on its way through the engine.

    Attributes:
        batch: The items.
        parts: The whole batch; where it failed, what belongs to each source.
        broken: Why the engine will never take anything again.
    """

    batch: Batch
    parts: list[_Part]
    broken: DeviceError | None = None


class Street:
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
        self._clock = clock or Clock()
        self._batch = batch
        self._batcher = Batcher(batch, max_wait, clock)
        self._passages: dict[Track, Passage] = {}
        self._lock = threading.Lock()
        self._broken: DeviceError | None = None
        self._places = threading.Semaphore(_UNDERWAY)
        self._turn = threading.Semaphore()
        # Whether a batch is formed, or was, by a thread that does not have the turn.
        self._ahead = False
        self._prepared: SimpleQueue[_Underway | None] = SimpleQueue()
        self._looked: SimpleQueue[_Underway | None] = SimpleQueue()
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
            before, behind = self._batch * _BEFORE, self._batch * _BEHIND
            if overflow is Overflow.DROP_OLDEST:
                before = behind = _LIVE_CAPACITY
            track = self._batcher.add(
                source.info.id, before=before, behind=behind, overflow=overflow
            )
            passage = Passage(source, selector, delivery, track, every=every)
            self._passages[track] = passage
        return passage

    # The three threads

    def _prepare_all(self) -> None:
        """Form and prepare batch after batch, until the batcher is closed."""
        while (underway := self._next_in_turn()) is not None:
            self._prepared.put(underway)
        self._prepared.put(None)

    def _next_in_turn(self) -> _Underway | None:
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

    def _form(self) -> _Underway | None:
        """Wait for the next batch and prepare it; None when the batcher is closed."""
        batch = self._batcher.next()
        if batch is None:
            return None
        self._begun += 1
        underway = _Underway(batch, [self._start(batch)])
        self._carry(underway, 0)
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

    def _look(self, underway: _Underway) -> None:
        self._carry(underway, 1)
        self._looked.put(underway)

    def _finish_all(self) -> None:
        """Make the results of all that was looked at, and send them on."""
        while (underway := self._looked.get()) is not None:
            try:
                self._finish(underway)
            except DeviceError as error:
                self._break(error)
            self._batcher.landed(underway.batch)
            self._end(underway.batch.finished)
            self.finished += 1
            self._places.release()

    # The steps of a batch

    def _start(self, batch: Batch) -> _Part:
        sampled = batch.sampled
        return _Part(batch, partial(self._engine.prepare, sampled) if sampled else _nothing)

    def _carry(self, underway: _Underway, taken: int) -> None:
        """Take all of a batch one step on."""
        try:
            underway.parts = [
                one for part in underway.parts for one in self._step_or_fail(part, taken)
            ]
        except DeviceError as error:
            underway.broken = error

    def _finish(self, underway: _Underway) -> None:
        """Take a batch's last step, and send every item on, in order, to its own tail.

        Raises:
            DeviceError: The engine has failed for good.
        """
        if underway.broken is not None:
            raise underway.broken
        # So that nobody keeps a batch's activations until the next one comes.
        parts, underway.parts = underway.parts, []
        for part in parts:
            for done in self._step_or_fail(part, 2):
                self._deliver(done)

    def _deliver(self, part: _Part) -> None:
        if part.batch.sampled:
            self._on_batch(part.seconds)
        results = iter(part.left)
        for track, frame in part.batch.entries:
            track.outbox.put(next(results) if frame.sampled else frame)

    def _step_or_fail(self, part: _Part, taken: int) -> list[_Part]:
        """Take a step; where that fails, with each source's part alone: the guilty one fails.

        Args:
            part: What takes it.
            taken: How many steps it has behind it, which its parts take anew.

        Raises:
            DeviceError: The engine has failed for good.
        """
        try:
            return [self._step(part)]
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            alone = self._parts_of_failed(part.batch, error)
            return [one for batch in alone for one in self._anew(batch, taken + 1)]

    def _step(self, part: _Part) -> _Part:
        begun = self._clock.monotonic()
        left = part.left()
        return _Part(part.batch, left, part.seconds + self._clock.monotonic() - begun)

    def _anew(self, batch: Batch, steps: int) -> list[_Part]:
        """Take a batch so many steps from its start."""
        parts = [self._start(batch)]
        for taken in range(steps):
            parts = [one for part in parts for one in self._step_or_fail(part, taken)]
        return parts

    def _parts_of_failed(self, batch: Batch, error: Exception) -> list[Batch]:
        """The sources' parts of a batch that failed; none where it is one source's, which fails."""
        parts = batch.parts()
        if len(parts) > 1:
            return parts
        self._fail(batch.entries[0][0], error)
        return []

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

    def _cancel_all(self) -> None:
        for track, passage in list(self._passages.items()):
            passage.stop()
            track.inbox.cancel()
            track.outbox.close()
            passage.ended.set()


def _nothing() -> Look:
    """The steps of a batch in which nothing is to be explained."""
    return lambda: list
