"""The tail's work on a camera: results in, to every way out."""

from collections import Counter
from collections.abc import Callable, Sequence

from streamcam.cameras.sink_worker import SinkWorker
from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.clock import Clock
from streamcam.sinks.preview import PreviewSink
from streamcam.types import FrameResult, Item, Picture


class LiveDelivery:
    """Draws results where a way out needs it, and hands them on.

    Args:
        annotate: Draws a result.
        outlets: The ways out that may be slow.
        preview: Holds the newest result for whoever looks.
        on_frame: Called with each frame and its latency in seconds; from the camera's thread.
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
        on_frame: Callable[[FrameResult, float], None],
        clock: Clock,
        *,
        on_stage: OnStage = unmeasured,
    ) -> None:
        self._on_stage = on_stage
        self._annotate = annotate
        self._outlets = outlets
        self._preview = preview
        self._on_frame = on_frame
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
        self._on_frame(item, self._clock.monotonic() - item.frame.arrival)

    def _draw(self, result: FrameResult) -> Picture:
        begun = self._clock.monotonic()
        picture = self._annotate(result)
        self._on_stage("render", self._clock.monotonic() - begun)
        return picture
