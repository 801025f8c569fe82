"""One source's stream: which frames are sampled, decoding in a thread, writing by the caller."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from streamcam.pipeline.batcher import StreamState
from streamcam.sources.base import Selector, Source
from streamcam.types import Item

# Containers round timestamps, Matroska to whole milliseconds: a frame that is early by less than
# that is the frame that was meant.
_ROUNDING = 1e-3


class Sampler:
    """Selects frames by their timestamps, or by their number.

    By timestamps, wanted frames lie on a grid of `1 / max_fps` seconds: the first frame at or after
    each grid point. The grid does not drift, so the mean rate holds for every frame rate, constant
    or variable, and a frame stands for at most one grid point.

    Args:
        max_fps: Explained frames per second of the source's own time; ignored with `every`.
        every: Explain every n-th frame instead.
        start, end: Seconds from the source's first frame between which frames are explained.
    """

    def __init__(
        self,
        *,
        max_fps: float = 5.0,
        every: int | None = None,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        self._period = 1.0 / max_fps
        self._every = every
        self.start = start
        self._end = math.inf if end is None else end
        self._point = 0
        self._next_due = start

    def skip_to(self, time: float) -> None:
        """Go on with the first grid point at or after a time: those before it are left out."""
        self._point = max(0, math.ceil((time - _ROUNDING - self.start) / self._period))
        self._next_due = self.start + self._point * self._period

    @property
    def next_due(self) -> float:
        return self._next_due - _ROUNDING

    def wants(self, index: int, time: float) -> bool:
        if time >= self._end:
            self._next_due = math.inf
        if time < self.next_due:
            return False
        if self._every is not None:
            return index % self._every == 0
        latest = math.floor((time + _ROUNDING - self.start) / self._period)
        self._point = max(self._point, latest) + 1
        self._next_due = self.start + self._point * self._period
        return True


class FrameWriter(Protocol):
    """Takes a stream's results, in the thread that runs the stream."""

    def write(self, item: Item) -> None: ...


class Stream:
    """A source's frames through the engine; made by `InferencePipeline.open`, run once.

    Attributes:
        ended: Set once the engine has finished with the source.
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
        """Explain the source to its end; decode in a thread, write in the calling one.

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
