"""One way out for a camera's results, in a thread of its own."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.clock import Clock
from streamcam.errors import SinkError, StreamcamError
from streamcam.pipeline.queue import BoundedQueue, Overflow
from streamcam.retry import Backoff
from streamcam.sinks.base import Sink
from streamcam.sinks.publish import PublishSink
from streamcam.types import FrameResult, Picture

_log = logging.getLogger(__name__)

# Two seconds at five frames a second: longer than any write to a healthy disk, and of 1080p 60 MB.
_CAPACITY = 10

# A full disk or a server that has gone comes back in minutes, not at once.
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0

Parcel = tuple[FrameResult, Picture | None]


class SinkWorker:
    """Hands results to a sink that may be slow, stuck or failing, and harms nobody else by it.

    A sink that fails is put away and made anew after a pause, again and again. What comes in the
    meantime, or faster than the sink takes it, is given up and counted.

    Args:
        name: What it is to people, e.g. "recording".
        camera: Whose results they are.
        make: Makes the sink.
        needs_picture: Whether the sink has to be given the annotated pictures.
        prepare: Called once, before there is a result: a camera may be gone for good.
        on_stage: Told how long writing takes.
        clock: Where the time comes from.

    Attributes:
        name: What it is to people.
        needs_picture: Whether it has to be given the annotated pictures.
    """

    def __init__(
        self,
        name: str,
        camera: str,
        make: Callable[[], Sink],
        *,
        needs_picture: bool = True,
        prepare: Callable[[], object] = lambda: None,
        on_stage: OnStage = unmeasured,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.needs_picture = needs_picture
        self._lost = 0
        self._on_stage = on_stage
        self._camera = camera
        self._make = make
        self._prepare = prepare
        self._clock = clock or Clock()
        self._sink: Sink | None = None
        self._error: StreamcamError | None = None
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._not_before = 0.0
        self._lane: BoundedQueue[Parcel] = BoundedQueue(_CAPACITY, Overflow.DROP_OLDEST)
        self._thread = threading.Thread(
            target=self._work, name=f"streamcam {name} {camera}", daemon=True
        )
        self._thread.start()

    @property
    def error(self) -> str | None:
        """What is wrong with it at this moment, None where nothing is."""
        if self._error is not None:
            return self._error.message
        # It connects again by itself, so its troubles are no errors of `write`.
        return self._sink.error if isinstance(self._sink, PublishSink) else None

    @property
    def dropped(self) -> int:
        """How many results never reached the sink."""
        return self._lane.dropped + self._lost

    def offer(self, result: FrameResult, picture: Picture | None) -> None:
        """Hand over a result; never waits."""
        self._lane.put((result, picture))

    def close(self) -> None:
        """Take no more; what was handed over is still written."""
        self._lane.close()

    def join(self, timeout: float) -> bool:
        """Wait for the end of all work; tell whether it came within so many seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        with self._caught(self._warn):
            self._prepare()
        for result, picture in self._lane:
            if self._clock.monotonic() < self._not_before:
                self._lost += 1
                continue
            with self._caught(self._fail):
                self._write(result, picture)
        if self._sink is not None:
            with self._caught(self._lament):
                self._sink.finish()

    @contextmanager
    def _caught(self, handle: Callable[[StreamcamError], None]) -> Iterator[None]:
        """Let no error of the sink reach anybody else."""
        try:
            yield
        except StreamcamError as error:
            handle(error)
        except Exception as error:  # noqa: BLE001 - one way out must not end the others
            _log.debug("internal fault", exc_info=error)
            handle(SinkError(f"internal fault: {type(error).__name__}: {error}"))

    def _write(self, result: FrameResult, picture: Picture | None) -> None:
        if self._sink is None:
            self._sink = self._make()
        begun = self._clock.monotonic()
        self._sink.write(result, picture)
        self._on_stage(self.name, self._clock.monotonic() - begun)
        if self._error is not None:
            self._say(logging.WARNING, f"{self.name} goes on")
            self._error = None
            self._backoff.reset()

    def _fail(self, error: StreamcamError) -> None:
        self._lost += 1
        if self._error is None or self._error.message != error.message:
            self._say(logging.ERROR, f"{self.name} stopped", error)
        self._error = error
        self._not_before = self._clock.monotonic() + self._backoff.next()
        self._put_away()

    def _put_away(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            with self._caught(self._warn):
                sink.abort()

    def _warn(self, error: StreamcamError) -> None:
        self._say(logging.WARNING, self.name, error)

    def _lament(self, error: StreamcamError) -> None:
        self._say(logging.ERROR, f"{self.name} could not be completed", error)
        self._put_away()

    def _say(self, level: int, what: str, error: StreamcamError | None = None) -> None:
        """Log what happened; with another camera, or another way out, it is another fact."""
        reason = "" if error is None else f": {error.message}"
        _log.log(level, f"%s: {what}%s", self._camera, reason, extra={"source": self._camera})
