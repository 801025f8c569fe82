"""The tail's work on one source: items in, annotated results out."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel

from streamcam.errors import StreamcamError
from streamcam.sinks.base import Sink
from streamcam.types import FrameResult, Item, Picture

_log = logging.getLogger(__name__)


class Delivery:
    """Renders each item once and hands it to every sink of the source.

    Args:
        sinks: Where the results go.
        annotate: Draws an item; asked only when a sink needs the picture.
    """

    def __init__(
        self, sinks: Sequence[Sink[BaseModel]], annotate: Callable[[Item], Picture]
    ) -> None:
        self._sinks = tuple(sinks)
        self._annotate = annotate
        self._needs_picture = any(sink.needs_picture for sink in sinks)
        self.explained = 0
        self.detections: Counter[str] = Counter()
        self._first_time: float | None = None
        self._last_time = 0.0

    @property
    def seconds(self) -> float:
        """How much of the source's own time was covered."""
        return self._last_time - (self._first_time or 0.0)

    def write(self, item: Item) -> None:
        """Write one item everywhere.

        Raises:
            SinkError: A sink could not take it.
        """
        picture = self._annotate(item) if self._needs_picture else None
        for sink in self._sinks:
            sink.write(item, picture if sink.needs_picture else None)
        self._count(item)

    def _count(self, item: Item) -> None:
        frame = item.frame if isinstance(item, FrameResult) else item
        if self._first_time is None:
            self._first_time = frame.time
        self._last_time = frame.time
        if isinstance(item, FrameResult):
            self.explained += 1
            self.detections.update(detection.label for detection in item.detections)

    def finish(self) -> dict[str, Path]:
        """Publish every sink's file; without explained frames leave nothing instead.

        Returns:
            The files by kind.

        Raises:
            SinkError: A file could not be completed; the others of this source are published.
        """
        if not self.explained:
            self.abort()
            return {}
        outputs: dict[str, Path] = {}
        fault: StreamcamError | None = None
        for sink in self._sinks:
            try:
                path = sink.finish()
                if path is not None and sink.result_file is not None:
                    outputs[sink.result_file.kind] = path
            except StreamcamError as error:
                sink.abort()
                fault = fault or error
        if fault is not None:
            raise fault
        return outputs

    def abort(self) -> None:
        """Leave no trace of unpublished files."""
        for sink in self._sinks:
            try:
                sink.abort()
            except StreamcamError as error:
                _log.warning("%s", error.message)
