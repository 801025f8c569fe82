"""One camera: its source, its detector, its sinks and its restarts, in a thread of its own."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

from streamcam.cameras.device_pipelines import DevicePipeline
from streamcam.cameras.plan import CameraPlan
from streamcam.cameras.sink_workers import RECORDING, LiveDelivery, SinkWorker, start_sinks
from streamcam.cameras.stats import CameraStats
from streamcam.clock import Clock
from streamcam.errors import DeviceError, DeviceMemoryError, SourceError, StreamcamError
from streamcam.events.event import EventChange
from streamcam.events.finder import EventFinder
from streamcam.observer import Observer
from streamcam.pipeline.queue import Overflow
from streamcam.pipeline.stream import Sampler, Stream
from streamcam.pipeline.trackers import style_of, tracker_of
from streamcam.regions import RegionCounts
from streamcam.render import annotate
from streamcam.retry import Backoff, RestartLimit
from streamcam.sinks.pictures import PreviewSink
from streamcam.sources.limits import Limits
from streamcam.sources.live import LiveSource, LiveStatus
from streamcam.types import CameraState, CameraStatus, FrameResult, Picture

_log = logging.getLogger(__name__)

# The engine has done with a cancelled source after one forward; of a slow model on a CPU, at most.
_FORWARD_SECONDS = 30.0

# Weights that cannot be fetched and GPUs that are taken come back in minutes.
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0


class Camera:
    """Runs one camera in a thread of its own; its faults stay here.

    Attributes:
        device: Where its frames are explained.
        preview: Its newest result.
        fault: Why it was given up, None while it was not.
        ready: Whether it has its detector, or waits for one that cannot be had now.
    """

    def __init__(
        self,
        plan: CameraPlan,
        device: DevicePipeline,
        observer: Observer,
        clock: Clock,
        *,
        reconnect: bool = True,
    ) -> None:
        self.plan = plan
        self.fault: StreamcamError | None = None
        self.ready = False
        self.device = device
        self._pipeline = device.pipeline
        self._engines = device.engines
        self._style = style_of(plan.settings.render, plan.tracking)
        self._observer = observer
        self._clock = clock
        self._reconnect = reconnect
        self.preview = PreviewSink(self._draw, clock)
        self._sinks: Sequence[SinkWorker] = ()
        self._tracker = tracker_of(plan.tracking)
        self._finder = _finder_of(plan, clock)
        self._stream: Stream | None = None
        self._stopping = threading.Event()
        # Set while it should run (or end), and while waits and streams should end.
        self._resumed, self._halted = threading.Event(), threading.Event()
        self._resumed.set()
        self._interrupted = False
        self._records = True
        # Its state between two runs and after the last, which its source does not know.
        self._override: LiveStatus | None = None
        self._ended = False
        self._stats = CameraStats(plan.name, plan.address.redacted, self._new_source(), clock)
        self._restarts = RestartLimit(clock)
        self._pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._thread = threading.Thread(
            target=self._run, name=f"streamcam camera {plan.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End soon: frames on their way still go out. From any thread."""
        self._stopping.set()
        self._halt()
        self._resumed.set()

    def cancel(self) -> None:
        """End at once. From any thread."""
        self.stop()
        if self._stream is not None:
            self._stream.cancel()

    def pause(self) -> None:
        """Close its stream until `resume`: frames on their way still go out. From any thread."""
        self._resumed.clear()
        self._interrupted = True
        self._halt()

    def resume(self) -> None:
        """Connect again after `pause`. From any thread."""
        self._halted.clear()
        if self._stopping.is_set():
            self._halted.set()
        self._resumed.set()

    def record(self, on: bool) -> None:
        """Let its recording go on, or complete it and let it rest. From any thread."""
        self._records = on
        self._direct_recording()
        self._observer.camera_changed(self.status())

    def join(self, timeout: float) -> bool:
        """Wait for its end; return whether it came within `timeout` seconds."""
        deadline = self._clock.monotonic() + timeout
        self._thread.join(timeout)
        waits = [sink.join(max(0.0, deadline - self._clock.monotonic())) for sink in self._sinks]
        return not self._thread.is_alive() and all(waits)

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def failed(self) -> bool:
        return self._ended and self.fault is not None

    def status(self) -> CameraStatus:
        recording = None if self.plan.record == "never" else self._records
        status = self._stats.status(self._sinks, self._override)
        regions = RegionCounts() if self._tracker is None else self._tracker.counts()
        return replace(status, recording=recording, regions=regions)

    def _on_frame(self, result: FrameResult, latency: float) -> None:
        self._pauses.reset()
        self._stats.note(result, latency)
        self._observer.camera_frame(result, latency)
        if self._finder is not None:
            started = self._clock.monotonic()
            self._tell(self._finder.update(result))
            self._observer.stage_measured("events", self._clock.monotonic() - started)

    def _tell(self, changes: Sequence[EventChange]) -> None:
        for change in changes:
            self._observer.event_changed(change)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._run_once():
                pass
        finally:
            for sink in self._sinks:
                sink.close()
            self._ended = self.ready = True
            self._enter(CameraState.FAILED if self.fault else CameraState.STOPPED, self.fault)

    def _run_once(self) -> bool:
        """Run until the camera ends or is paused; return whether to begin again."""
        self._interrupted = False
        if self._resumed.is_set():
            return self._explain_once() or (self._interrupted and self.fault is None)
        for sink in self._sinks:
            sink.complete()
        self.ready = True
        self._enter(CameraState.PAUSED, None)
        self._resumed.wait()
        self._enter(CameraState.CONNECTING, None)
        self._override = None
        return True

    def _halt(self) -> None:
        """End the stream, and the pause before the next."""
        self._halted.set()
        if self._stream is not None:
            self._stream.stop()

    def _direct_recording(self) -> None:
        for sink in self._sinks:
            if sink.name == RECORDING:
                sink.rest(not self._records)

    def _explain_once(self) -> bool:
        """Run until the camera ends; return whether to begin again."""
        try:
            self._explain()
        except StreamcamError as error:
            if self._reconnect and _may_pass(error):
                self._pause(error)
                return True
            self.fault = error
        except Exception as error:  # noqa: BLE001 - one camera must not end the others
            _log.debug("internal fault", exc_info=error)
            return self._restart(f"internal fault: {type(error).__name__}: {error}")
        return False

    def _explain(self) -> None:
        if not self._sinks:
            self._sinks = start_sinks(self.plan, self._engines, self._observer, self._clock)
            self._direct_recording()
        self._engines.assign(self.plan.name, self.plan.settings, self.plan.ignore)
        self.ready = True
        stream: Stream | None = None
        try:
            stream = self._open()
            stream.run()
        finally:
            if self._finder is not None:
                self._tell(self._finder.end())
            if stream is None or stream.ended.wait(_FORWARD_SECONDS):
                self._engines.release(self.plan.name)

    def _open(self) -> Stream:
        source = self._new_source()
        delivery = LiveDelivery(
            self._track,
            self._draw,
            self._sinks,
            self.preview,
            self._on_frame,
            self._observer,
            self._clock,
        )
        sampler = Sampler(max_fps=self.plan.max_fps)
        stream = self._pipeline.open(source, sampler, delivery, overflow=Overflow.DROP_OLDEST)
        self._stats.begin(source, stream, delivery)
        self._stream = stream
        if self._halted.is_set():
            stream.stop()
        return stream

    def _new_source(self) -> LiveSource:
        return LiveSource(
            self.plan.name,
            self.plan.address,
            timeouts=self.plan.timeouts,
            limits=Limits(frame_pixels=self.plan.frame_pixels),
            reconnect=self._reconnect,
            on_change=self._report_change,
            clock=self._clock,
        )

    def _report_change(self, status: LiveStatus) -> None:
        # The end of the source is reported as the camera's own.
        if status.state is not CameraState.STOPPED:
            self._observer.camera_changed(self.status())

    def _track(self, result: FrameResult) -> FrameResult:
        if self._tracker is None:
            return result
        started = self._clock.monotonic()
        tracked = self._tracker.apply(result)
        self._observer.stage_measured("tracking", self._clock.monotonic() - started)
        return tracked

    def _draw(self, result: FrameResult) -> Picture:
        return annotate(result, self._style)

    def _restart(self, text: str) -> bool:
        if not self._restarts.allow():
            self.fault = StreamcamError(f"{self.plan.name}: given up: {text}")
            return False
        self._pause(StreamcamError(text))
        return True

    def _pause(self, error: StreamcamError) -> None:
        self.ready = True
        pause = self._pauses.next()
        _log.warning(
            "%s: %s; trying again in %.0f s",
            self.plan.name,
            error.message,
            pause,
            extra={"source": self.plan.name},
        )
        self._enter(CameraState.BACKING_OFF, error)
        self._halted.wait(pause)
        self._override = None

    def _enter(self, state: CameraState, error: StreamcamError | None) -> None:
        self._override = LiveStatus(state, self._clock.monotonic(), error)
        self._observer.camera_changed(self.status())


def _finder_of(plan: CameraPlan, clock: Clock) -> EventFinder | None:
    if plan.events is None or plan.tracking is None:
        return None
    return EventFinder(plan.name, plan.events, plan.tracking.lost_after, clock)


def _may_pass(error: StreamcamError) -> bool:
    """Whether to wait and begin again: sources reconnect by themselves, broken GPUs stay broken."""
    if isinstance(error, DeviceError):
        return isinstance(error, DeviceMemoryError)
    return error.retryable and not isinstance(error, SourceError)
