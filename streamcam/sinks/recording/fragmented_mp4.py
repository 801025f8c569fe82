"""An MP4 that plays however its writing ends.

While it is written every frame is a fragment of its own; completed, it is an ordinary MP4 that
players seek in, because one box of media then hides all the fragments' headers (FFmpeg's
`hybrid_fragmented`). Turning the one into the other writes eight bytes in place.
"""

import os
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
from av.video.stream import VideoStream

from streamcam.clock import iso_utc
from streamcam.files import WholeFile
from streamcam.sinks.encoder import TIME_BASE, VideoPacket

_LONG_SIZE = 1
"""In a box's header: its size follows in 64 bits."""


class FragmentWriter:
    """Muxes H.264 packets, none of which is held back but the last: its length is not known yet.

    Every method may raise `OSError` and `av.FFmpegError`.

    Args:
        path: The file to make; it must not exist.
        template: The encoder's stream.
        begin: Wall-clock time of the first frame.
    """

    def __init__(self, path: Path, template: VideoStream, begin: datetime) -> None:
        self._file = _HybridFile(path, "xb")
        self._first: int | None = None
        try:
            self._container = av.open(
                self._file,
                "w",
                format="mp4",
                container_options={
                    "movflags": "+hybrid_fragmented+frag_every_frame+default_base_moof",
                    "flush_packets": "1",
                },
            )
            self._container.metadata["creation_time"] = iso_utc(begin)
            self._stream = self._container.add_stream_from_template(template)
            self._stream.time_base = TIME_BASE
        except BaseException:
            self._file.close()
            raise

    def write(self, packet: VideoPacket) -> None:
        """Add a packet; the first one is a key frame, and begins at zero."""
        assert packet.pts is not None
        if self._first is None:
            self._first = packet.pts
        packet.pts = packet.dts = packet.pts - self._first
        packet.stream = self._stream
        self._container.mux(packet)

    def complete(self) -> None:
        """Make it an ordinary MP4; where that fails it stays as it is."""
        try:
            self._container.close()
        finally:
            self._file.close()

    def leave(self) -> None:
        """Let go of the file, which stays as it is."""
        # PyAV does not try to complete what is written to a closed file.
        self._file.close()
        self._container.close()


class _HybridFile(WholeFile):
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go back to what becomes the header of an ordinary MP4, when the rest is on the disk.

        Were the header there first, a power cut in between would leave a file without an index.
        """
        os.fdatasync(self.fileno())
        return super().seek(offset, whence)


class Layout(NamedTuple):
    """What an MP4 of `FragmentWriter` holds.

    Attributes:
        complete: Whether it is an ordinary MP4.
        frames: Where each whole frame ends, in bytes, of one that is not complete.
    """

    complete: bool
    frames: tuple[int, ...]


def layout(path: Path) -> Layout:
    """Look into a file that was left behind.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        boxes = list(_boxes(file, path.stat().st_size))
    names = [name for name, _ in boxes]
    if b"moov" in names and b"mdat" in names[: names.index(b"moov")]:
        return Layout(True, ())
    if b"moov" not in names:
        return Layout(False, ())
    return Layout(False, tuple(end for name, end in boxes if name == b"mdat"))


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the names and ends of the outermost boxes that are whole."""
    begin = 0
    while begin + 8 <= size:
        file.seek(begin)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == _LONG_SIZE:
            (length,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
        begin += length
        if length < 8 or begin > size:
            return
        yield name, begin
