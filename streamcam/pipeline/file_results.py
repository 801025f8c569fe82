"""The results of one file: its sinks, its manifest, and whether they are complete already."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.config.schema import OutputSettings
from streamcam.render import Annotator, Style
from streamcam.sinks.base import Provenance, Sink, SinkTarget, result_path
from streamcam.sinks.manifest import MANIFEST, read_manifest, write_manifest
from streamcam.sinks.registry import SinkChoice
from streamcam.sinks.video import VideoSettings
from streamcam.types import FrameResult, Item, JobReport, Picture, SourceInfo

_log = logging.getLogger(__name__)


class Delivery:
    """Hands each item to every sink of a source, annotated where one needs the picture."""

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
        """Seconds on the source's own clock from the first item to the last."""
        return self._last_time - (self._first_time or 0.0)

    def write(self, item: Item) -> None:
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
        """Publish every sink's file and return them by kind; without explained frames leave none.

        Raises:
            SinkError: A file could not be completed; the others of this source are published.
        """
        if not self.explained:
            self.abort()
            return {}
        outputs: dict[str, Path] = {}
        failure: Exception | None = None
        for sink in self._sinks:
            try:
                path = sink.finish()
                if path is not None and sink.result_file is not None:
                    outputs[sink.result_file.kind] = path
            except Exception as error:  # noqa: BLE001 - raised below, once the others are published
                self._abort(sink)
                failure = failure or error
        if failure is not None:
            raise failure
        return outputs

    def abort(self) -> None:
        for sink in self._sinks:
            self._abort(sink)

    def _abort(self, sink: Sink[BaseModel]) -> None:
        try:
            sink.abort()
        except Exception as error:  # noqa: BLE001 - the others must be aborted too
            _log.warning("%s: not aborted: %s", type(sink).__name__, error)


class Results:
    """The files of one source: an annotated video or picture, JSON lines, a manifest.

    Args:
        stem: The source's name below the output folder, without its ending.
        provenance: Returns what the results were made with; called when the work is done.
    """

    def __init__(
        self, stem: str, settings: Settings, provenance: Callable[[], Provenance], clock: Clock
    ) -> None:
        self._stem = stem
        self._settings = settings
        self._provenance = provenance
        self._clock = clock
        self._manifest = result_path(settings.output.folder, stem, MANIFEST.ending)

    @property
    def complete(self) -> bool:
        """Whether the results are there, complete, and not to be made again."""
        if self._settings.output.overwrite:
            return False
        manifest = read_manifest(self._manifest)
        return manifest is not None and manifest.complete

    def delivery(self, info: SourceInfo) -> Delivery:
        output = self._settings.output
        target = SinkTarget(info, output.folder, self._stem, self._provenance, self._clock)
        chosen = file_sinks(output, self._settings.sinks, still=info.still)
        style = Style(**self._settings.render.model_dump())
        return Delivery([sink.create(target) for sink in chosen], Annotator(style).annotate)

    def write_manifest(
        self, info: SourceInfo, report: JobReport, started: datetime, ended: datetime
    ) -> JobReport:
        """Write the manifest; return the report with it among the outputs."""
        path = write_manifest(
            self._manifest, info, report, self._provenance(), started=started, ended=ended
        )
        return replace(report, outputs={**report.outputs, MANIFEST.kind: path})


def file_sinks(
    output: OutputSettings, optional: Mapping[str, BaseModel], *, still: bool
) -> list[SinkChoice]:
    """Return a file's sinks; those of the tables `[sinks.NAME]` (`optional`) are the last."""
    chosen = [SinkChoice("records")]
    if output.save_maps != "off":
        chosen.append(SinkChoice(f"maps-{output.save_maps}"))
    if output.video != "off" and not still:
        chosen.append(
            SinkChoice("video", VideoSettings(encoder=output.encoder, audio=output.audio))
        )
    if output.video != "off" or still:
        chosen.append(SinkChoice("picture"))
    return [*chosen, *(SinkChoice(name, settings) for name, settings in optional.items())]
