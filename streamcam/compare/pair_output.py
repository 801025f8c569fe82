"""The side-by-side video of a source, or the picture of a picture."""

from dataclasses import replace
from pathlib import Path

from streamcam.config.schema import OutputSettings
from streamcam.errors import SinkError
from streamcam.sinks.base import result_path
from streamcam.sinks.pictures import write_still
from streamcam.sinks.registry import COMPARED_PICTURE, COMPARED_VIDEO
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.sources.inputs import Entry
from streamcam.types import Frame, Picture, SourceInfo


class PairOutput:
    """Writes one source's pictures of two detectors, complete or not at all.

    Args:
        info: Of the source.
        size: Width and height of the pictures.
        settings: The folder, and the encoder of videos.
    """

    def __init__(
        self, entry: Entry, info: SourceInfo, size: tuple[int, int], settings: OutputSettings
    ) -> None:
        ending = COMPARED_PICTURE if info.still else COMPARED_VIDEO
        self._path = result_path(settings.local_folder, entry.stem, ending)
        self._picture: Picture | None = None
        self._video: VideoSink | None = None
        if not info.still:
            shown = replace(info, width=size[0], height=size[1], path=None, reopen=None)
            self._video = VideoSink(
                self._path, shown, VideoSettings(encoder=settings.encoder, audio=False)
            )

    def write(self, frame: Frame, picture: Picture) -> None:
        if self._video is not None:
            self._video.write(frame, picture)
        else:
            self._picture = picture

    def finish(self) -> Path:
        """Publish what was written, and return its path."""
        if self._video is not None:
            return self._video.finish()
        if self._picture is None:
            raise SinkError(f"{self._path}: no frame was compared, so there is no picture")
        return write_still(self._path, self._picture)

    def abort(self) -> None:
        if self._video is not None:
            self._video.abort()
