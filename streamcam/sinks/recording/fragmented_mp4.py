"""An MP4 that is playable at every moment of its writing.

While it is written, every frame is a fragment of its own; completed, it is an ordinary, seekable
MP4, because one media box then covers all the fragments' headers (FFmpeg's `hybrid_fragmented`).
The conversion writes eight bytes in place.
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
    """Muxes H.264 packets; only the last one is held back, until its duration is known.

    The file must not exist. Every method may raise `OSError` and `av.FFmpegError`.
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
        """Convert it to an ordinary MP4; where that fails it is left unchanged."""
        try:
            self._container.close()
        finally:
            self._file.close()

    def close(self) -> None:
        """Close the file without converting it."""
        # PyAV does not try to complete a closed file.
        self._file.close()
        self._container.close()


class _HybridFile(WholeFile):
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sync the file before seeking back to write the header of an ordinary MP4.

        Were the header on the disk first, a power failure could leave a file without an index.
        """
        os.fdatasync(self.fileno())
        return super().seek(offset, whence)


class FragmentLayout(NamedTuple):
    """Whether an MP4 of `FragmentWriter` is an ordinary one; if not, each frame's end in bytes."""

    complete: bool
    frames: tuple[int, ...]


def read_layout(path: Path) -> FragmentLayout:
    with path.open("rb") as file:
        boxes = list(_boxes(file, path.stat().st_size))
    names = [name for name, _ in boxes]
    if b"moov" in names and b"mdat" in names[: names.index(b"moov")]:
        return FragmentLayout(True, ())
    if b"moov" not in names:
        return FragmentLayout(False, ())
    return FragmentLayout(False, tuple(end for name, end in boxes if name == b"mdat"))


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the names and ends of the complete top-level boxes."""
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
