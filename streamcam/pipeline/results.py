"""What is written for one source, and whether it has been written before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from streamcam.config.schema import OutputSettings, RenderSettings
from streamcam.pipeline.delivery import Delivery
from streamcam.render import Annotator, Style
from streamcam.sinks.base import Sink
from streamcam.sinks.encoder import VideoSettings
from streamcam.sinks.manifest import Provenance, read_manifest, write_manifest
from streamcam.sinks.maps import NpzSink, PngSink
from streamcam.sinks.names import outputs
from streamcam.sinks.records import JsonlSink
from streamcam.sinks.stills import StillSink
from streamcam.sinks.video import VideoSink
from streamcam.types import JobReport, SourceInfo


class Results:
    """The files of one source: an annotated video or picture, JSON lines, a manifest.

    Args:
        stem: The source's name below the output folder, without its ending.
        output: What is written, and where.
        render: How the pictures look.
        engine: Tells what the results were made with; asked when the work is done.
    """

    def __init__(
        self,
        stem: str,
        output: OutputSettings,
        render: RenderSettings,
        engine: Callable[[], Provenance],
    ) -> None:
        self._output = output
        self._render = render
        self._engine = engine
        self._paths = outputs(output.folder, stem)

    @property
    def complete(self) -> bool:
        """Whether the results are there, whole, and not to be made again."""
        if self._output.overwrite:
            return False
        manifest = read_manifest(self._paths.manifest)
        return manifest is not None and manifest.complete

    def delivery(self, info: SourceInfo) -> Delivery:
        """Make the sinks for a source that was opened."""
        style = Style(**self._render.model_dump())
        return Delivery(self._sinks(info), Annotator(style).annotate)

    def _sinks(self, info: SourceInfo) -> list[Sink]:
        sinks: list[Sink] = [JsonlSink(self._paths.records)]
        if self._output.save_maps == "npz":
            sinks.append(NpzSink(self._paths.maps_archive))
        elif self._output.save_maps == "png":
            sinks.append(PngSink(self._paths.maps_folder))
        if info.still:
            sinks.append(StillSink(self._paths.picture))
        elif self._output.video != "off":
            heard = info if self._output.audio else replace(info, path=None)
            encoding = VideoSettings(encoder=self._output.encoder)
            sinks.append(VideoSink(self._paths.video, heard, encoding))
            sinks.append(StillSink(self._paths.picture))
        return sinks

    def describe(
        self, info: SourceInfo, report: JobReport, started: datetime, ended: datetime
    ) -> JobReport:
        """Write the manifest; return the report with it among the outputs.

        Raises:
            SinkError: It cannot be written.
        """
        path = write_manifest(
            self._paths.manifest, info, report, self._engine(), started=started, ended=ended
        )
        return replace(report, outputs={**report.outputs, "manifest": path})
