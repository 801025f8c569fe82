"""A batch's three stages in an engine, and the retries when a stage fails."""

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

    def postprocess(self, outputs: OutputsT) -> list[FrameResult]: ...

    def forget(self, source: str) -> None:
        """Drop the state of a source that has ended; from the thread of `postprocess`."""
        ...


@dataclass(frozen=True, slots=True)
class BatchPart(Generic[T]):
    """Frames that go through the engine together, after `seconds` in its stages.

    `value` is the output of the last stage; None where no frame is to be explained.
    """

    batch: Batch
    value: T | None
    seconds: float


@dataclass(frozen=True, slots=True)
class InFlightBatch(Generic[T]):
    """A batch after one of the stages; `fault` is why the engine has failed for good.

    The parts are the whole batch; after a fault one for each source that is left.
    """

    batch: Batch
    parts: Sequence[BatchPart[T]]
    fault: DeviceError | None


class BatchStages(Generic[InputsT, OutputsT]):
    """Takes batches through the stages of an engine.

    Where a batch of several sources fails, each source's frames are tried again alone, so that
    only the source at fault fails. Where the device fails for good, the parts that had passed the
    stage before that go on. `fail` is called with the source at fault and its error.
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
        start = BatchPart(batch, batch.sampled or None, 0.0)
        return self._attempt(start, self._engine.preprocess, self._preprocessed)

    def _forwarded(self, part: BatchPart[InputsT]) -> list[BatchPart[OutputsT]]:
        return self._attempt(part, self._engine.forward, self._forwarded_anew)

    def _postprocessed(self, part: BatchPart[OutputsT]) -> list[BatchPart[list[FrameResult]]]:
        return self._attempt(part, self._engine.postprocess, self._postprocessed_anew)

    def _forwarded_anew(self, batch: Batch) -> list[BatchPart[OutputsT]]:
        return [done for part in self._preprocessed(batch) for done in self._forwarded(part)]

    def _postprocessed_anew(self, batch: Batch) -> list[BatchPart[list[FrameResult]]]:
        return [done for part in self._forwarded_anew(batch) for done in self._postprocessed(part)]

    def _attempt(
        self,
        part: BatchPart[T],
        stage: Callable[[T], U],
        retry: Callable[[Batch], list[BatchPart[U]]],
    ) -> list[BatchPart[U]]:
        """Run a stage; where it fails, retry each source's frames alone.

        The frames of a single source have failed for good.
        """
        started = self._clock.monotonic()
        try:
            value = None if part.value is None else stage(part.value)
        except DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the source
            by_source = part.batch.by_source()
            if len(by_source) == 1:
                self._fail(part.batch.entries[0][0], error)
                return []
            return [done for alone in by_source for done in retry(alone)]
        return [BatchPart(part.batch, value, part.seconds + self._clock.monotonic() - started)]


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
