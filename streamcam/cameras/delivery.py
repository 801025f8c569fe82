"""The tail's work on a camera: results in, to every way out."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from streamcam.cameras.sink_worker import SinkWorker
from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.clock import Clock
from streamcam.sinks.preview import PreviewSink
from streamcam.types import FrameResult, Item, Picture


class LiveObserver(Protocol):
    """Is told of what was explained; called from the cameras' threads, must be quick."""

    def explained(self, result: FrameResult, latency: float) -> None:
        """A frame has gone out, so many seconds after its data came in."""
        ...


class LiveDelivery:
    """Draws results where a way out needs it, and hands them on.

    Args:
        annotate: Draws a result.
        outlets: The ways out that may be slow.
        preview: Holds the newest result for whoever looks.
        observer: Is told of every frame.
        clock: Where the time comes from.
        on_stage: Told how long drawing took.

    Attributes:
        explained: How many frames went out.
        detections: How many detections went out, by label.
    """

    def __init__(
        self,
        annotate: Callable[[FrameResult], Picture],
        outlets: Sequence[SinkWorker],
        preview: PreviewSink,
        observer: LiveObserver,
        clock: Clock,
        *,
        on_stage: OnStage = unmeasured,
    ) -> None:
        self._on_stage = on_stage
        self._annotate = annotate
        self._outlets = outlets
        self._preview = preview
        self._observer = observer
        self._clock = clock
        self._drawn = any(outlet.needs_picture for outlet in outlets)
        self.explained = 0
        self.detections: Counter[str] = Counter()

    def write(self, item: Item) -> None:
        """Send an explained frame out; never waits for anybody."""
        assert isinstance(item, FrameResult), "a live source gives the wanted frames only"
        picture = self._draw(item) if self._drawn else None
        for outlet in self._outlets:
            outlet.submit(item, picture if outlet.needs_picture else None)
        self._preview.write(item, picture)
        self.explained += 1
        self.detections.update(detection.label for detection in item.detections)
        self._observer.explained(item, self._clock.monotonic() - item.frame.arrival)

    def _draw(self, result: FrameResult) -> Picture:
        begun = self._clock.monotonic()
        picture = self._annotate(result)
        self._on_stage("render", self._clock.monotonic() - begun)
        return picture
