"""From a container's packets to frames: decoding that survives damage and skips what it may."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import inf
from operator import attrgetter
from threading import Event

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from streamcam.errors import CorruptMediaError
from streamcam.media_errors import reading
from streamcam.sources.gops import Gops

# Ten seconds of ordinary video: longer than any burst of errors that a decoder recovers from at
# the next key frame, short enough not to read gigabytes of noise.
MOST_FAILURES = 250

# Two sources decode at once while others wait for the engine; more threads only add memory.
_THREADS = min(4, os.cpu_count() or 1)

# Their packets may hold pictures that are never shown, which makes counting packets worthless.
_HIDING_CODECS = ("vp8", "libvpx")


class Decoder:
    """Decodes one video stream.

    Args:
        container: The opened medium.
        stream: Which of its streams.
        name: The medium, as a person knows it.
        interrupted: Ends decoding soon once it is set.

    Attributes:
        decoded: Frames that the decoder has given, damaged ones too.
        corrupt: Packets and frames refused or marked as damaged.
        may_skip: Whether groups of pictures may go undecoded. Set to False once frames depend
            on each other beyond the decoder (deinterlacing) or times are not the file's own.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, name: str, interrupted: Event
    ) -> None:
        self._interrupted = interrupted
        self._container = container
        self._stream = stream
        self._name = name
        self.decoded = 0
        self.corrupt = 0
        self.may_skip = stream.codec_context.name not in _HIDING_CODECS
        self._gops = Gops()
        self._skipped = 0
        self._failures = 0
        self._fed = 0
        self._reached = 0.0
        self._second_key: tuple[int, int | None] | None = None
        self._proven = False
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = _THREADS

    def frames(self, due: Callable[[], float]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield each good frame with its index, in order of presentation.

        The index counts frames from the stream's first, including damaged and undecoded ones.

        Args:
            due: Tells the ticks before which no frame is wanted.

        Raises:
            CorruptMediaError: Nothing could be decoded for too long.
            SourceUnavailableError: The medium went away.
        """
        for packet in self._packets():
            if self._interrupted.is_set():
                return
            if packet.is_corrupt:
                self._fail()
                continue
            may_skip = self.may_skip and self._proven
            skipped, ready = self._gops.push(packet, due() if may_skip else -inf)
            if skipped:
                yield from self._drained()
                self._skipped += skipped
            for wanted in ready:
                yield from self._decoded(wanted)
        for packet in self._gops.release():
            yield from self._decoded(packet)
        yield from self._decoded(None)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the stream's packets; reading goes on behind damage."""
        while True:
            try:
                with reading(self._name):
                    # PyAV ends with an empty packet, which would flush the decoder too early.
                    yield from filter(attrgetter("size"), self._container.demux(self._stream))
            except CorruptMediaError:
                self._fail()
            except IndexError:
                return  # PyAV stumbles at the end over streams that came up in the middle.
            else:
                return

    def _drained(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield what the decoder still holds and make it forget the rest."""
        yield from self._decoded(None)
        self._stream.codec_context.flush_buffers()

    def _decoded(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[int, VideoFrame]]:
        for frame in self._tried(packet):
            index = self.decoded + self._skipped
            self.decoded += 1
            if frame.is_corrupt:
                self._fail()
                continue
            self._failures = 0
            self._reached = frame.time or self._reached
            self._prove(index, frame)
            yield index, frame

    def _tried(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        self._note(packet)
        try:
            return self._stream.codec_context.decode(packet)
        except FFmpegError:
            self._fail()
            return []

    def _fail(self) -> None:
        self.corrupt += 1
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise CorruptMediaError(
                f"{self._name}: unreadable after {self.decoded} frames, at {self._reached:.1f} s: "
                f"{self._failures} failures in a row",
                hint="What was read before is kept.",
            )

    def _note(self, packet: Packet[VideoStream] | None) -> None:
        """Remember where the second key frame is."""
        if packet is None:
            return
        if packet.is_keyframe and self._fed and self._second_key is None:
            self._second_key = (self._fed, packet.pts)
        self._fed += 1

    def _prove(self, index: int, frame: VideoFrame) -> None:
        """Learn from the second key frame whether groups can be skipped by counting packets.

        It must be a true intra picture, and there must be one frame for each packet before it.
        """
        if self._second_key is None or frame.pts != self._second_key[1]:
            return
        if not self._proven and not self._skipped:
            intra = frame.key_frame and frame.pict_type == PictureType.I
            self._proven = bool(intra) and index == self._second_key[0]
            self.may_skip = self.may_skip and self._proven
