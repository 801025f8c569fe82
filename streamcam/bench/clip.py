"""A benchmark's frames: a video file, and its first frames in memory."""

import math
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from streamcam.errors import SourceError, UsageError
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.sources.base import Source
from streamcam.sources.inputs import Entry, expand, open_source
from streamcam.types import Frame, SourceInfo


@dataclass(frozen=True, slots=True)
class Clip:
    """The first frames of a video file, in memory."""

    name: str  # of the source
    path: Path
    info: SourceInfo  # of the file
    frames: list[Frame]
    end: float | None  # seconds at which runs end; None for the end of the file

    @property
    def entry(self) -> Entry:
        return expand([str(self.path)])[0]


def make_clip(spec: str, count: int, folder: Path) -> Clip:
    """Read the first frames of a video; a demo scene is written to a file before.

    Raises:
        SourceError: It cannot be read.
        UsageError: It is a picture.
    """
    with closing(open_source(spec)) as source:
        if source.info.still:
            raise UsageError(f"{source.info.id}: bench needs a video, and this is a picture")
        if source.info.path is not None:
            return _read(source, source.info.path, source.info.id, count)
        path = _write(source, count, folder / "scene.mp4")
    with closing(open_source(str(path))) as written:
        return _read(written, path, source.info.id, count)


def _read(source: Source, path: Path, name: str, count: int) -> Clip:
    first = list(islice(source.frames(Sampler(every=1)), count + 1))
    if not first:
        raise SourceError(f"{name}: has no frames")
    end = first[count].time if len(first) > count else None
    # Times may be rounded to milliseconds; halfway between two frames is safe.
    if end is not None:
        end = math.fsum((end, first[count - 1].time)) / 2
    return Clip(name, path, source.info, first[:count], end)


def _write(source: Source, count: int, path: Path) -> Path:
    sink = VideoSink(path, source.info, VideoSettings(encoder="libx264"))
    for frame in islice(source.frames(Sampler(every=1)), count):
        sink.write(frame, frame.picture)
    return sink.finish()
