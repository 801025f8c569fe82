"""One source's stream: decoded in a thread, explained by the engine, written by the caller."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from streamcam.pipeline.batcher import StreamState
from streamcam.sources.base import Selector, Source
from streamcam.types import Item


class FrameWriter(Protocol):
    """Takes a stream's results, in the thread that runs the stream."""

    def write(self, item: Item) -> None: ...


class Stream:
    """A source on its way through the engine; made by `InferencePipeline.open`, run once.

    Attributes:
        received: Frames that came from the source.
        delivered: Items that were written.
        ended: Set once the engine has done with the source.
    """

    def __init__(
        self,
        source: Source,
        selector: Selector,
        writer: FrameWriter,
        state: StreamState,
        *,
        every: bool,
    ) -> None:
        self._source = source
        self._selector = selector
        self._writer = writer
        self._state = state
        self._every = every
        self._fault: Exception | None = None
        self.received = 0
        self.delivered = 0
        self.ended = threading.Event()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that were received and dropped, by cause: "engine", "output", "stop", "fault"."""
        return self._state.dropped

    def run(self, on_item: Callable[[Item], None] = lambda _: None) -> None:
        """Explain the source to its end; decodes in a thread, writes in the calling one.

        Args:
            on_item: Called after each item was written.

        Raises:
            StreamcamError: The first fault. What was written before it stays with the writer, to be
                finished or aborted by the caller.
        """
        decoding = threading.Thread(
            target=self._decode, name=f"streamcam decode {self._state.source}", daemon=True
        )
        decoding.start()
        try:
            for item in self._state.output_queue:
                self._writer.write(item)
                self.delivered += 1
                on_item(item)
        except Exception as error:  # noqa: BLE001 - raised below, once all frames are counted
            self.fail(error)
        finally:
            self.cancel()
            decoding.join()
            self._count_lost()
        if self._fault is not None:
            raise self._fault

    def _decode(self) -> None:
        try:
            for frame in self._source.frames(self._selector, every=self._every):
                self.received += 1
                if not self._state.input_queue.put(frame):
                    break
        except Exception as error:  # noqa: BLE001 - raised in the thread that called `run`
            self.fail(error)
        finally:
            self._state.input_queue.close()

    def _count_lost(self) -> None:
        """Count the frames that were on their way when the stream ended."""
        lost = self.received - self.delivered - self._state.dropped.total()
        if lost:
            self._state.dropped["stop" if self._fault is None else "fault"] += lost

    def fail(self, error: Exception) -> None:
        """Note the first fault, which `run` raises at the end."""
        self._fault = self._fault or error

    def stop(self) -> None:
        """End early: frames already on their way are written. From any thread."""
        self._source.interrupt()

    def cancel(self) -> None:
        """Give up the frames on their way. From any thread."""
        self._source.interrupt()
        self._state.input_queue.cancel()
        self._state.output_queue.cancel()
