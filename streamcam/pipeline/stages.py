"""A batch's three stages through an engine, and what becomes of it when a stage fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from streamcam.clock import Clock
from streamcam.errors import DeviceError
from streamcam.pipeline.batcher import Batch, StreamState
from streamcam.types import Frame, FrameResult

InputsT = TypeVar("InputsT")
OutputsT = TypeVar("OutputsT")
T = TypeVar("T")
U = TypeVar("U")


class FrameEngine(Protocol[InputsT, OutputsT]):
    """What the pipeline asks of an engine. Each stage may run in a thread of its own.

    Batches come to each stage in the same order; while one batch is in a stage, others may be in
    the other two.
    """

    def preprocess(self, frames: Sequence[Frame]) -> InputsT:
        """Bring frames of any sources and sizes to the device, as the network wants them."""
        ...

    def forward(self, inputs: InputsT) -> OutputsT:
        """Run the network: detections and feature maps, still on the device."""
        ...

    def postprocess(self, outputs: OutputsT) -> list[FrameResult]:
        """Make one result for each frame, in their order."""
        ...

    def forget(self, source: str) -> None:
        """Drop the state of a source that has ended; from the thread of `postprocess`."""
        ...


@dataclass(frozen=True, slots=True)
class BatchPart(Generic[T]):
    """Frames that go through the engine together.

    Attributes:
        batch: The frames.
        value: What the last stage made of them; None where no frame is to be explained.
        seconds: How long the stages took so far.
    """

    batch: Batch
    value: T | None
    seconds: float


@dataclass(frozen=True, slots=True)
class InFlightBatch(Generic[T]):
    """A batch after one of the stages.

    Attributes:
        batch: The frames.
        parts: The whole batch; after a fault one part for each source that is left.
        fault: Why the engine will never take anything again.
    """

    batch: Batch
    parts: Sequence[BatchPart[T]]
    fault: DeviceError | None


class BatchStages(Generic[InputsT, OutputsT]):
    """Takes batches through the stages of an engine.

    Where a batch of several sources fails, each source's frames are tried again alone, so that
    only the source at fault fails. Where the device fails for good, the parts that had passed the
    stage before that go on.

    Args:
        engine: Explains batches of frames.
        fail: Called with the source at fault and its error.
        clock: Measures the stages.
    """

    def __init__(
        self,
        engine: FrameEngine[InputsT, OutputsT],
        fail: Callable[[StreamState, Exception], None],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._fail = fail
        self._clock = clock

    def preprocess(self, batch: Batch) -> InFlightBatch[InputsT]:
        try:
            return InFlightBatch(batch, self._preprocessed(batch), None)
        except DeviceError as error:
            return InFlightBatch(batch, [], error)

    def forward(self, batch: InFlightBatch[InputsT]) -> InFlightBatch[OutputsT]:
        return _advanced(batch, self._forwarded)

    def postprocess(self, batch: InFlightBatch[OutputsT]) -> InFlightBatch[list[FrameResult]]:
        return _advanced(batch, self._postprocessed)

    def _preprocessed(self, batch: Batch) -> list[BatchPart[InputsT]]:
        frames = batch.sampled
        start = BatchPart(batch, frames or None, 0.0)
        try:
            return [self._timed(start, self._engine.preprocess)]
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            return self._each_alone(batch, error, self._preprocessed)

    def _forwarded(self, part: BatchPart[InputsT]) -> list[BatchPart[OutputsT]]:
        try:
            return [self._timed(part, self._engine.forward)]
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            return self._each_alone(part.batch, error, self._forwarded_anew)

    def _postprocessed(self, part: BatchPart[OutputsT]) -> list[BatchPart[list[FrameResult]]]:
        try:
            return [self._timed(part, self._engine.postprocess)]
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            return self._each_alone(part.batch, error, self._postprocessed_anew)

    def _forwarded_anew(self, batch: Batch) -> list[BatchPart[OutputsT]]:
        return [done for part in self._preprocessed(batch) for done in self._forwarded(part)]

    def _postprocessed_anew(self, batch: Batch) -> list[BatchPart[list[FrameResult]]]:
        return [done for part in self._forwarded_anew(batch) for done in self._postprocessed(part)]

    def _each_alone(
        self, batch: Batch, error: Exception, retry: Callable[[Batch], list[BatchPart[T]]]
    ) -> list[BatchPart[T]]:
        """Try each source's frames alone; a batch of one source has failed for good."""
        by_source = batch.by_source()
        if len(by_source) == 1:
            self._fail(batch.entries[0][0], error)
            return []
        return [part for alone in by_source for part in retry(alone)]

    def _timed(self, part: BatchPart[T], stage: Callable[[T], U]) -> BatchPart[U]:
        started = self._clock.monotonic()
        value = None if part.value is None else stage(part.value)
        return BatchPart(part.batch, value, part.seconds + self._clock.monotonic() - started)


def _advanced(
    batch: InFlightBatch[T], stage: Callable[[BatchPart[T]], list[BatchPart[U]]]
) -> InFlightBatch[U]:
    done: list[BatchPart[U]] = []
    fault = batch.fault
    try:
        for part in batch.parts:
            done += stage(part)
    except DeviceError as error:
        fault = fault or error
    return InFlightBatch(batch.batch, done, fault)
