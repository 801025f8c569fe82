"""Joins the results of a video's pieces, in their order, into those of the whole video.

Nothing is decoded or encoded: records are lines, maps are members of archives or files of folders,
and of the annotated videos the packets are copied.
"""

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.files import PART, PartFile, replace_folder
from streamcam.media_errors import writing
from streamcam.sinks.audio import AudioTrack
from streamcam.sinks.video import Mp4Writer
from streamcam.types import SourceInfo

_BUFFER = 1 << 20


def join_records(parts: Sequence[Path], target: Path) -> Path:
    """Write the lines of all parts into one file, and return its path; raises `SinkError`."""
    file = PartFile(target)
    try:
        with writing(str(target)), file.prepare().open("wb") as joined:
            for part in parts:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, joined, _BUFFER)
        return file.publish()
    except BaseException:
        file.discard()
        raise


def copy_still(part: Path, target: Path) -> Path:
    """Copy the still of one part, and return the copy's path; raises `SinkError`."""
    return join_records([part], target)


def join_archives(parts: Sequence[Path], target: Path) -> Path:
    """Write the arrays of all `.npz` files into one, and return its path; raises `SinkError`."""
    file = PartFile(target)
    try:
        with (
            writing(str(target)),
            zipfile.ZipFile(
                file.prepare(), "w", compression=zipfile.ZIP_DEFLATED, compresslevel=1
            ) as joined,
        ):
            for part in parts:
                with zipfile.ZipFile(part) as archive:
                    for name in archive.namelist():
                        with archive.open(name) as array, joined.open(name, "w") as member:
                            shutil.copyfileobj(array, member, _BUFFER)
        return file.publish()
    except BaseException:
        file.discard()
        raise


def join_folders(parts: Sequence[Path], target: Path) -> Path:
    """Link or copy the files of all folders into one, and return its path; raises `SinkError`."""
    part = target.with_name(target.name + PART)
    with writing(str(target)):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for path in chain.from_iterable(folder.iterdir() for folder in parts):
            # Until the target is published, the parts remain complete.
            try:
                (part / path.name).hardlink_to(path)
            except OSError:  # a file system without links
                shutil.copyfile(path, part / path.name)
        replace_folder(part, target)
    return target


def join_videos(parts: Sequence[Path], target: Path, sound: SourceInfo | None) -> Path:
    """Write the frames of all videos, and the sound of the source, into one MP4.

    Timestamps stay as they are: each part's are on the clock of the whole.

    Args:
        parts: Made by `VideoSink` of stretches of one source, in their order.
        target: The MP4.
        sound: The source, None for a video without sound.

    Returns:
        The path of the MP4.

    Raises:
        SinkError: A part cannot be read, was encoded in another way, or the MP4 cannot be written.
    """
    file = PartFile(target)
    try:
        with writing(str(target)), closing(_Parts(parts)) as videos:
            first = videos.first
            audio = None
            if sound is not None:
                begin = first.start_time or 0
                audio = AudioTrack.of(sound, begin * _time_base(first), Fraction(0))
            writer = Mp4Writer(
                file.prepare(),
                _time_base(first),
                {"copy": lambda container: container.add_stream_from_template(first)},
                audio,
            )
            try:
                writer.mux(videos.packets())
                writer.close(videos.end)
            except BaseException:
                writer.discard()
                raise
        return file.publish()
    except BaseException:
        file.discard()
        raise


class _Parts:
    """The frames of several videos in turn, each shown until the next one begins.

    Attributes:
        first: The stream of the first part.
        end: Seconds at which the last frame ends, once all packets were given.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._first = av.open(str(paths[0]))
        self.first = self._first.streams.video[0]
        self._parameters = _parameters(self.first)
        self.end = Fraction(0)

    def packets(self) -> "Iterator[Packet[Any]]":
        held: Packet[VideoStream] | None = None
        for packet in self._all():
            if held is not None:
                assert held.pts is not None
                assert packet.pts is not None
                held.duration = packet.pts - held.pts
                yield held
            held = packet
        assert held is not None
        assert held.pts is not None
        self.end = (held.pts + (held.duration or 0)) * held.time_base
        yield held

    def _all(self) -> "Iterator[Packet[VideoStream]]":
        for path in self._paths:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                if _parameters(stream) != self._parameters:
                    raise SinkError(
                        f"{path}: was encoded in another way than the pieces before it",
                        hint="Let all machines use the same encoder: --encoder libx264.",
                    )
                yield from (packet for packet in container.demux(stream) if packet.size)

    def close(self) -> None:
        self._first.close()


def _time_base(stream: VideoStream) -> Fraction:
    assert stream.time_base is not None
    return stream.time_base


def _parameters(stream: VideoStream) -> tuple[int, int, Fraction | None, bytes | None]:
    context = stream.codec_context
    return context.width, context.height, stream.time_base, context.extradata
