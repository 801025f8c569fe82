"""The inference pipeline: one engine, shared by the streams of many sources."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, Protocol, Self

from streamcam.clock import Clock
from streamcam.pipeline.batcher import Batcher, StreamState
from streamcam.pipeline.queue import Overflow
from streamcam.pipeline.stages import BatchStages, FrameEngine, InFlightBatch, InputsT, OutputsT
from streamcam.pipeline.stream import FrameWriter, Stream
from streamcam.sources.base import Selector, Source
from streamcam.types import FrameResult, SourceInfo

# One batch is in the forward pass while another is postprocessed.
_IN_FLIGHT = 2

# Batches of a file's frames: one is being filled before the engine; behind it one is in the forward
# pass, and one on either side of that is preprocessed, or drawn. More were no faster.
_INPUT_BATCHES, _OUTPUT_BATCHES = 1, 3

# Of the pictures of one batch of a file: eight of 4K have 199 MB. Larger frames, of which fewer are
# held, make smaller batches.
_BATCH_BYTES = 200_000_000

# A live source's frame waits for one forward pass at most, since a newer one takes its place; of
# the results one is drawn while the next arrives.
_LIVE_CAPACITY = 1


def _frames_of_a_batch(info: SourceInfo, most: int) -> int:
    """Return how many frames of a source a batch may hold, at least one."""
    return max(1, min(most, _BATCH_BYTES // (info.width * info.height * 3)))


class Inference(Protocol):
    @property
    def busy(self) -> bool:
        """Whether the engine works, or could: frames wait for it. From any thread."""
        ...

    @property
    def finished(self) -> int:
        """Number of batches that the engine has completed. From any thread."""
        ...

    def open(
        self,
        source: Source,
        selector: Selector,
        writer: FrameWriter,
        *,
        overflow: Overflow = Overflow.BLOCK,
        every: bool = False,
    ) -> Stream:
        """Open a source's stream through the engine.

        With `every` the frames that are not explained are passed on too.

        Raises:
            DeviceError: The engine has failed for good.
        """
        ...


class InferencePipeline(Generic[InputsT, OutputsT]):
    """Owns the engine's three threads, one for each stage; a context manager.

    While a live source is open, its batches are formed only when the network is free: a frame that
    was preprocessed earlier would be older than need be.

    Args:
        batch: Maximum batch size.
        max_wait: Seconds that a file's frame waits for others to share its batch.
        on_batch: Called with each batch's seconds in the engine, from its thread; must be quick.
    """

    def __init__(
        self,
        engine: FrameEngine[InputsT, OutputsT],
        *,
        batch: int,
        max_wait: float,
        on_batch: Callable[[float], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self._engine = engine
        self._on_batch = on_batch
        self._batch = batch
        self._stages = BatchStages(engine, self._fail, clock)
        self._batcher = Batcher(batch, max_wait, clock)
        self._streams: dict[StreamState, Stream] = {}
        self._lock = threading.Lock()
        self._fault: Exception | None = None
        self._started = self.finished = 0
        self._in_flight = threading.Semaphore(_IN_FLIGHT)
        self._network_free = threading.Semaphore()
        # Whether the preprocess thread forms a batch, or has formed one, that is not yet forwarded.
        self._formed_ahead = False
        self._inputs: SimpleQueue[InFlightBatch[InputsT] | None] = SimpleQueue()
        self._outputs: SimpleQueue[InFlightBatch[OutputsT] | None] = SimpleQueue()
        self._threads = [
            self._thread("preprocess", self._preprocess_next),
            self._thread("forward", self._forward_next),
            self._thread("postprocess", self._postprocess_next),
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None or issubclass(kind, Exception):
            self.close()
        else:
            # Ctrl-C twice: a forward that hangs must not keep the process.
            self.abandon()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads, once their batches are done, and all streams."""
        self._batcher.close()
        for thread in self._threads:
            thread.join()
        self._cancel_all()

    def abandon(self) -> None:
        """End all streams without waiting for the engine, whose threads end when they can."""
        self._batcher.close()
        self._cancel_all()

    @property
    def busy(self) -> bool:
        working = self._started > self.finished or self._batcher.has_work
        return working and self._fault is None

    def open(
        self,
        source: Source,
        selector: Selector,
        writer: FrameWriter,
        *,
        overflow: Overflow = Overflow.BLOCK,
        every: bool = False,
    ) -> Stream:
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if overflow is Overflow.DROP_OLDEST:
                capacities = _LIVE_CAPACITY, _LIVE_CAPACITY
            else:
                frames = _frames_of_a_batch(source.info, self._batch)
                capacities = frames * _INPUT_BATCHES, frames * _OUTPUT_BATCHES
            state = self._batcher.add(source.info.id, *capacities, overflow)
            stream = Stream(source, selector, writer, state, every=every)
            self._streams[state] = stream
        return stream

    def _thread(self, name: str, step: Callable[[], bool]) -> threading.Thread:
        return threading.Thread(
            target=self._repeat, args=(step,), name=f"streamcam {name}", daemon=True
        )

    def _repeat(self, step: Callable[[], bool]) -> None:
        try:
            while step():
                pass
        except Exception as error:  # noqa: BLE001 - raised by every stream
            self._stop_engine(error)

    # The threads' work: one batch, and whether there may be another. Each keeps no reference to a
    # batch while it waits for the next, since feature maps may be large.

    def _preprocess_next(self) -> bool:
        with self._lock:
            self._formed_ahead = not self._batcher.has_live
        if self._formed_ahead:
            batch = self._preprocess()
            self._wait_for_network()
        else:
            self._wait_for_network()
            batch = self._preprocess()
        self._inputs.put(batch)
        return batch is not None

    def _forward_next(self) -> bool:
        inputs = self._inputs.get()
        if inputs is None:
            self._outputs.put(None)
            return False
        self._outputs.put(self._stages.forward(inputs))
        del inputs
        while self._only_live() and self._forward_live():
            pass
        self._network_free.release()
        return True

    def _postprocess_next(self) -> bool:
        outputs = self._outputs.get()
        if outputs is None:
            return False
        results = self._stages.postprocess(outputs)
        del outputs
        self._deliver(results)
        self._batcher.complete(results.batch)
        self._end(results.batch.finished)
        self.finished += 1
        self._in_flight.release()
        return True

    def _wait_for_network(self) -> None:
        # The network first: a slot held while waiting could starve the forward thread.
        self._network_free.acquire()
        self._in_flight.acquire()

    def _preprocess(self) -> InFlightBatch[InputsT] | None:
        """Wait for the next batch and preprocess it; None when the batcher is closed."""
        batch = self._batcher.next()
        if batch is None:
            return None
        self._started += 1
        return self._stages.preprocess(batch)

    def _only_live(self) -> bool:
        """Whether a live source is open, and no batch of files waits for the network."""
        with self._lock:
            return self._batcher.has_live and not self._formed_ahead

    def _forward_live(self) -> bool:
        """Form, preprocess and forward a batch in the forward thread, without delay.

        By the time that another thread had formed it, some of the cameras whose frames were just
        explained would be in it and some not, by chance.
        """
        self._in_flight.acquire()
        inputs = self._preprocess()
        if inputs is None:
            return False
        self._outputs.put(self._stages.forward(inputs))
        return True

    def _deliver(self, batch: InFlightBatch[list[FrameResult]]) -> None:
        for part in batch.parts:
            if part.value is not None:
                self._on_batch(part.seconds)
            results = iter(part.value or ())
            for state, frame in part.batch.entries:
                state.output_queue.put(next(results) if frame.sampled else frame)
        if batch.fault is not None:
            self._fail_all(batch.fault)

    def _end(self, states: Sequence[StreamState]) -> None:
        for state in states:
            self._engine.forget(state.source)
            state.output_queue.close()
            with self._lock:
                stream = self._streams.pop(state, None)
            if stream is not None:
                stream.ended.set()

    def _fail(self, state: StreamState, error: Exception) -> None:
        stream = self._streams.get(state)
        if stream is not None:
            stream.fail(error)
            stream.stop()
            state.input_queue.cancel()
            # Results of frames that were explained meanwhile would leave a gap.
            state.output_queue.close()

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            self._fault = self._fault or error
            streams = list(self._streams.values())
        for stream in streams:
            stream.fail(error)
        self._cancel_all()
        self._batcher.close()

    def _stop_engine(self, error: Exception) -> None:
        """Fail every stream, and wake the threads that wait for the one that has failed."""
        self._fail_all(error)
        self._network_free.release()
        self._in_flight.release(_IN_FLIGHT)
        self._inputs.put(None)
        self._outputs.put(None)

    def _cancel_all(self) -> None:
        for state, stream in list(self._streams.items()):
            stream.stop()
            state.input_queue.cancel()
            state.output_queue.close()
            stream.ended.set()
