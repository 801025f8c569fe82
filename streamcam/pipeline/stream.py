"""The way of one source: decoded in a thread, explained by the street's engine, delivered."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from streamcam.pipeline.batcher import StreamState
from streamcam.sources.base import Selector, Source
from streamcam.types import Item


class Delivers(Protocol):
    """What the street asks of a tail; called from the thread that runs the passage."""

    def write(self, item: Item) -> None:
        """Take one item."""
        ...


class Stream:
    """The way of one source: a head thread decodes, the engine explains, the caller delivers.

    Made by `InferencePipeline.open`; run once.

    Attributes:
        received: How many frames came from the source.
        delivered: How many items went out.
        stopped: Whether it was asked to end early.
        ended: Set once the engine has done with the source.
    """

    def __init__(
        self,
        source: Source,
        selector: Selector,
        delivery: Delivers,
        track: StreamState,
        *,
        every: bool,
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
