"""A camera's results go to its sinks, each in a thread of its own."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from pydantic import BaseModel

from streamcam.cameras.engines import Engines
from streamcam.cameras.plan import CameraPlan
from streamcam.clock import Clock
from streamcam.errors import SinkError, StreamcamError
from streamcam.observer import Observer
from streamcam.pipeline.queue import BoundedQueue, Overflow
from streamcam.retry import Backoff
from streamcam.sinks.base import Sink, SinkTarget
from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.pictures import PreviewSink
from streamcam.sinks.publish import PublishSettings
from streamcam.sinks.recording.recorder import RecordingSettings
from streamcam.sinks.registry import SinkChoice
from streamcam.types import FrameResult, Item, Picture, SourceInfo

_log = logging.getLogger(__name__)

RECORDING = "recording"

# One core is enough for the few frames a second of one camera.
_ENCODER_THREADS = 1

# Two seconds at five frames a second: longer than any write to a healthy disk, and of 1080p 60 MB.
_CAPACITY = 10

# A full disk, or a server that is down, recovers in minutes, not at once.
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0


class SinkWorker:
    """Hands results to a sink that may be slow, stuck or failing, without any effect on others.

    A sink that fails is aborted and created again after a pause, with exponential backoff. Results
    that arrive meanwhile, or faster than the sink accepts them, are dropped and counted.

    Args:
        choice: The sink, created when the first result arrives.
        target: The camera, and the folder of its results.

    Attributes:
        needs_picture: Whether the sink has to be given the annotated pictures.
        resting: Whether it takes no results for the time being.
    """

    def __init__(self, choice: SinkChoice, target: SinkTarget, observer: Observer) -> None:
        self.name = choice.name
        self.needs_picture = choice.uses_picture
        self.resting = False
        self._choice = choice
        self._target = target
        self._camera = target.source.id
        self._observer = observer
        self._clock = target.clock
        self._lost = 0
        self._sink: Sink[BaseModel] | None = None
        self._error: StreamcamError | None = None
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._not_before = 0.0
        # Without a result, what was written is to be completed.
        self._queue: BoundedQueue[tuple[FrameResult | None, Picture | None]] = BoundedQueue(
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
        if not self.resting:
            self._queue.put((result, picture))

    def complete(self) -> None:
        """Complete what was written; the next result begins anew. Never waits."""
        self._queue.put((None, None))

    def rest(self, resting: bool) -> None:
        """Complete what was written and take no more results, or take them again."""
        self.resting = resting
        if resting:
            self.complete()

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
            if result is None:
                self._finish()
            elif self._clock.monotonic() < self._not_before:
                self._lost += 1
            else:
                with self._caught(self._fail):
                    self._write(result, picture)
        self._finish()

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

    def _finish(self) -> None:
        if self._sink is not None:
            with self._caught(self._fail_to_finish):
                self._sink.finish()
            self._sink = None

    def _write(self, result: FrameResult, picture: Picture | None) -> None:
        if self._sink is None:
            self._sink = self._choice.create(self._target)
        started = self._clock.monotonic()
        self._sink.write(result, picture)
        self._observer.stage_measured(self.name, self._clock.monotonic() - started)
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


class LiveDelivery:
    """Tracks objects, annotates results where a sink needs it, and hands them to the sinks.

    Args:
        track: Returns a result with its objects tracked.
        preview: Holds the newest result for the live page.
        on_frame: Called with each result and its latency in seconds; must be quick.

    Attributes:
        explained: Number of frames handed over; `without_map` of those that have no map.
        detections: Number of detections handed over, by label.
    """

    def __init__(
        self,
        track: Callable[[FrameResult], FrameResult],
        annotate: Callable[[FrameResult], Picture],
        sinks: Sequence[SinkWorker],
        preview: PreviewSink,
        on_frame: Callable[[FrameResult, float], None],
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._track = track
        self._annotate = annotate
        self._sinks = sinks
        self._preview = preview
        self._on_frame = on_frame
        self._observer = observer
        self._clock = clock
        self._needs_picture = any(sink.needs_picture for sink in sinks)
        self.explained = self.without_map = 0
        self.detections: Counter[str] = Counter()

    def write(self, item: Item) -> None:
        """Hand an explained frame to all sinks; never waits."""
        assert isinstance(item, FrameResult), "a live source yields sampled frames only"
        item = self._track(item)
        picture = self._annotated(item) if self._needs_picture else None
        for sink in self._sinks:
            sink.submit(item, picture if sink.needs_picture else None)
        self._preview.write(item, picture)
        self.explained += 1
        self.without_map += not item.explanation.has_map
        self.detections.update(detection.label for detection in item.detections)
        self._on_frame(item, self._clock.monotonic() - item.frame.arrival)

    def _annotated(self, result: FrameResult) -> Picture:
        started = self._clock.monotonic()
        picture = self._annotate(result)
        self._observer.stage_measured("render", self._clock.monotonic() - started)
        return picture


def start_sinks(
    plan: CameraPlan, engines: Engines, observer: Observer, clock: Clock
) -> Sequence[SinkWorker]:
    """Start a worker for each sink that a camera's plan turns on."""
    target = SinkTarget(
        SourceInfo(plan.name, 0, 0, Fraction(1, 1000), live=True),
        plan.settings.output.local_folder / plan.name,
        plan.name,
        lambda: engines.provenance(plan.name),
        clock,
    )
    return [SinkWorker(choice, target, observer) for choice in camera_sinks(plan)]


def camera_sinks(plan: CameraPlan) -> list[SinkChoice]:
    """Return the sinks that a camera's plan turns on."""
    chosen: list[SinkChoice] = []
    live, output = plan.settings.live, plan.settings.output
    encoder = EncoderSettings(encoder=output.encoder, threads=_ENCODER_THREADS)
    if plan.record != "never":
        recording = RecordingSettings(
            segment=live.segment,
            video=output.video != "off",
            record=plan.record,
            pre_roll=live.pre_roll,
            post_roll=live.post_roll,
            encoder=encoder,
        )
        chosen.append(SinkChoice(RECORDING, recording))
    if plan.publish is not None:
        chosen.append(SinkChoice("publishing", PublishSettings(url=plan.publish, encoder=encoder)))
    optional = plan.settings.sinks.items()
    return [*chosen, *(SinkChoice(name, settings) for name, settings in optional)]
