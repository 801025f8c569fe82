"""What is written for one source, and whether it has been written before."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.config.schema import OutputSettings
from streamcam.pipeline.delivery import Delivery
from streamcam.render import Annotator, Style
from streamcam.sinks.base import Target
from streamcam.sinks.manifest import MANIFEST, Provenance, read_manifest, write_manifest
from streamcam.sinks.registry import SinkChoice
from streamcam.sinks.result_paths import result_path
from streamcam.sinks.video import VideoSettings
from streamcam.types import JobReport, SourceInfo


class Results:
    """The files of one source: an annotated video or picture, JSON lines, a manifest.

    Args:
        stem: The source's name below the output folder, without its ending.
        settings: What is written, where, and how the pictures look.
        provenance: Returns what the results were made with; called when the work is done.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        stem: str,
        settings: Settings,
        provenance: Callable[[], Provenance],
        clock: Clock,
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
        """Make the sinks for a source that was opened."""
        output = self._settings.output
        target = Target(info, output.folder, self._stem, self._provenance, self._clock)
        chosen = file_sinks(output, self._settings.sinks, still=info.still)
        style = Style(**self._settings.render.model_dump())
        return Delivery([sink.create(target) for sink in chosen], Annotator(style).annotate)

    def write_manifest(
        self, info: SourceInfo, report: JobReport, started: datetime, ended: datetime
    ) -> JobReport:
        """Write the manifest; return the report with it among the outputs.

        Raises:
            SinkError: It cannot be written.
        """
        path = write_manifest(
            self._manifest, info, report, self._provenance(), started=started, ended=ended
        )
        return replace(report, outputs={**report.outputs, MANIFEST.kind: path})


def file_sinks(
    output: OutputSettings, optional: Mapping[str, BaseModel], *, still: bool
) -> list[SinkChoice]:
    """Return the sinks that are turned on for a file.

    Args:
        output: Turns on the standard ones.
        optional: The tables `[sinks.NAME]`.
        still: Whether the file is a single picture.
    """
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
