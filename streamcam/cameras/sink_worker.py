"""Runs one sink of a camera in a thread of its own."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel

from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.errors import SinkError, StreamcamError
from streamcam.pipeline.queue import BoundedQueue, Overflow
from streamcam.retry import Backoff
from streamcam.sinks.base import Sink, Target
from streamcam.sinks.registry import SinkChoice
from streamcam.types import FrameResult, Picture

_log = logging.getLogger(__name__)

# Two seconds at five frames a second: longer than any write to a healthy disk, and of 1080p 60 MB.
_CAPACITY = 10

# A full disk or a server that has gone comes back in minutes, not at once.
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0


class SinkWorker:
    """Hands results to a sink that may be slow, stuck or failing, without any effect on others.

    A sink that fails is aborted and made anew after a pause, again and again. Results that come in
    the meantime, or faster than the sink takes them, are dropped and counted.

    Args:
        choice: The sink; made when the first result comes.
        target: The camera, and where its results go.
        on_stage: Called with the seconds of each write.

    Attributes:
        name: The sink's name, e.g. "recording".
        needs_picture: Whether the sink has to be given the annotated pictures.
    """

    def __init__(
        self, choice: SinkChoice, target: Target, *, on_stage: OnStage = unmeasured
    ) -> None:
        self.name = choice.name
        self.needs_picture = choice.uses_picture
        self._choice = choice
        self._target = target
        self._camera = target.source.id
        self._on_stage = on_stage
        self._clock = target.clock
        self._lost = 0
        self._sink: Sink[BaseModel] | None = None
        self._error: StreamcamError | None = None
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._not_before = 0.0
        self._queue: BoundedQueue[tuple[FrameResult, Picture | None]] = BoundedQueue(
            _CAPACITY, Overflow.DROP_OLDEST
        )
        self._thread = threading.Thread(
            target=self._run, name=f"streamcam {self.name} {self._camera}", daemon=True
        )
        self._thread.start()

    @property
    def error(self) -> str | None:
        """What is wrong with the sink at this moment, None where nothing is."""
        if self._error is not None:
            return self._error.message
        sink = self._sink
        return None if sink is None else sink.error

    @property
    def dropped(self) -> int:
        """How many results never reached the sink."""
        return self._queue.dropped + self._lost

    def submit(self, result: FrameResult, picture: Picture | None) -> None:
        """Hand over a result; never waits."""
        self._queue.put((result, picture))

    def close(self) -> None:
        """Take no more results; those in the queue are still written."""
        self._queue.close()

    def join(self, timeout: float) -> bool:
        """Wait for the end of all work; return whether it came within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._caught(self._warn):
            self._choice.recover(self._target)
        for result, picture in self._queue:
            if self._clock.monotonic() < self._not_before:
                self._lost += 1
                continue
            with self._caught(self._fail):
                self._write(result, picture)
        if self._sink is not None:
            with self._caught(self._fail_to_finish):
                self._sink.finish()

    @contextmanager
    def _caught(self, handle: Callable[[StreamcamError], None]) -> Iterator[None]:
        """Let no error of the sink escape."""
        try:
            yield
        except StreamcamError as error:
            handle(error)
        except Exception as error:  # noqa: BLE001 - one sink must not end the others
            _log.debug("internal fault", exc_info=error)
            handle(SinkError(f"internal fault: {type(error).__name__}: {error}"))

    def _write(self, result: FrameResult, picture: Picture | None) -> None:
        if self._sink is None:
            self._sink = self._choice.create(self._target)
        started = self._clock.monotonic()
        self._sink.write(result, picture)
        self._on_stage(self.name, self._clock.monotonic() - started)
        if self._error is not None:
            self._report(logging.WARNING, f"{self.name} goes on")
            self._error = None
            self._backoff.reset()

    def _fail(self, error: StreamcamError) -> None:
        self._lost += 1
        if self._error is None or self._error.message != error.message:
            self._report(logging.ERROR, f"{self.name} stopped", error)
        self._error = error
        self._not_before = self._clock.monotonic() + self._backoff.next()
        self._abort()

    def _abort(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            with self._caught(self._warn):
                sink.abort()

    def _warn(self, error: StreamcamError) -> None:
        self._report(logging.WARNING, self.name, error)

    def _fail_to_finish(self, error: StreamcamError) -> None:
        self._report(logging.ERROR, f"{self.name} could not be completed", error)
        self._abort()

    def _report(self, level: int, what: str, error: StreamcamError | None = None) -> None:
        # The format string tells the sinks apart: identical records of a source are rate-limited.
        reason = "" if error is None else f": {error.message}"
        _log.log(level, f"%s: {what}%s", self._camera, reason, extra={"source": self._camera})
