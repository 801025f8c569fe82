"""How a batch goes through the engine, step by step, and what becomes of it where a step fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from streamcam.clock import Clock
from streamcam.errors import DeviceError
from streamcam.pipeline.batcher import Batch, StreamState
from streamcam.types import Frame, Look


class Explains(Protocol):
    """What the street asks of an engine: a batch takes three steps, each in a thread of its own."""

    def prepare(self, frames: Sequence[Frame]) -> Look:
        """Make frames of any sources and sizes ready for one pass; return the steps to come."""
        ...

    def forget(self, source: str) -> None:
        """Drop what is kept for a source that has ended; from the thread of the last step."""
        ...


@dataclass(frozen=True, slots=True)
class BatchPart:
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
class InFlightBatch:
    """A batch on its way through the engine.

    Attributes:
        batch: The items.
        parts: The whole batch; where it failed, what belongs to each source.
        taken: How many of the three steps it has behind it.
        broken: Why the engine will never take anything again.
    """

    batch: Batch
    parts: list[BatchPart]
    taken: int = 0
    broken: DeviceError | None = None


class Steps:
    """Takes batches through an engine's steps; each step may have a thread of its own.

    Args:
        engine: Explains batches of frames.
        fail: Told of the source that is to blame for a fault, and of the fault.
        clock: Where the time comes from.
    """

    def __init__(
        self, engine: Explains, fail: Callable[[StreamState, Exception], None], clock: Clock
    ) -> None:
        self._engine = engine
        self._fail = fail
        self._clock = clock

    def start(self, batch: Batch) -> InFlightBatch:
        """Return a batch that has all steps before it."""
        return InFlightBatch(batch, [self._part(batch)])

    def carry(self, underway: InFlightBatch) -> None:
        """Take all of a batch one step on; after the last one its parts hold their results.

        Where the device fails for good, what had taken the step before that goes on.
        """
        parts: list[BatchPart] = []
        try:
            for part in underway.parts:
                parts += self._step_or_fail(part, underway.taken)
        except DeviceError as error:
            underway.broken = underway.broken or error
        underway.parts = parts
        underway.taken += 1

    def _part(self, batch: Batch) -> BatchPart:
        sampled = batch.sampled
        return BatchPart(batch, partial(self._engine.prepare, sampled) if sampled else _nothing)

    def _step_or_fail(self, part: BatchPart, taken: int) -> list[BatchPart]:
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

    def _step(self, part: BatchPart) -> BatchPart:
        begun = self._clock.monotonic()
        left = part.left()
        return BatchPart(part.batch, left, part.seconds + self._clock.monotonic() - begun)

    def _anew(self, batch: Batch, steps: int) -> list[BatchPart]:
        """Take a batch so many steps from its start."""
        parts = [self._part(batch)]
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


def _nothing() -> Look:
    """The steps of a batch in which nothing is to be explained."""
    return lambda: list
