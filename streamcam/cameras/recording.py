"""A camera's recording: its segments, and the manifest that tells what they were made with."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from streamcam.clock import Clock
from streamcam.sinks.manifest import Provenance, write_manifest
from streamcam.sinks.names import outputs
from streamcam.sinks.recording.recorder import SegmentSettings, SegmentSink
from streamcam.sinks.recording.recovery import recover
from streamcam.types import (
    Counts,
    Frame,
    FrameResult,
    Item,
    JobReport,
    Outcome,
    Picture,
    SourceInfo,
)


class Recording:
    """Writes segments into a camera's folder, and `<camera>.manifest.json` beside them.

    The manifest is there from the first frame on, with the outcome "running", and is completed at
    the end. What a killed process left is finished first.

    Args:
        folder: The camera's.
        settings: What is recorded.
        provenance: Returns what the results are made with; called once, with the first.
        clock: Where the time comes from.
    """

    kind: ClassVar[str] = "recording"

    def __init__(
        self,
        folder: Path,
        settings: SegmentSettings,
        provenance: Callable[[], Provenance],
        clock: Clock,
    ) -> None:
        self.needs_picture = settings.video
        self._folder = folder
        self._provenance = provenance
        self._clock = clock
        self._segments = SegmentSink(folder, settings, clock)
        self._info: SourceInfo | None = None
        self._made_with: Provenance | None = None
        self._started = clock.utc()
        self._begun = clock.monotonic()
        self._explained = 0
        self._detections: Counter[str] = Counter()

    def write(self, item: Item, picture: Picture | None) -> None:
        """Record an explained frame.

        Raises:
            SinkError: It cannot be written.
        """
        assert isinstance(item, FrameResult), "a live source gives the wanted frames only"
        if self._info is None:
            recover(self._folder)
        self._segments.write(item, picture)
        if self._info is None:
            self._info, self._made_with = _info(item.frame), self._provenance()
            self._describe(Outcome.RUNNING)
        self._explained += 1
        self._detections.update(detection.label for detection in item.detections)

    def finish(self) -> Path:
        """Publish the running segment, complete the manifest, and return the camera's folder.

        Raises:
            SinkError: Something cannot be written, or there was no frame.
        """
        folder = self._segments.finish()
        self._describe(Outcome.STOPPED)
        return folder

    def abort(self) -> None:
        """Keep what is whole of the running segment."""
        self._segments.abort()

    def _describe(self, outcome: Outcome) -> None:
        assert self._info is not None
        assert self._made_with is not None
        report = JobReport(
            self._info.id,
            outcome,
            Counts(explained=self._explained, detections=dict(self._detections)),
            seconds=self._clock.monotonic() - self._begun,
        )
        write_manifest(
            outputs(self._folder, self._info.id).manifest,
            self._info,
            report,
            self._made_with,
            started=self._started,
            ended=self._clock.utc(),
        )


def _info(frame: Frame) -> SourceInfo:
    height, width = frame.picture.shape[:2]
    return SourceInfo(frame.source, width, height, frame.time_base, live=True)
