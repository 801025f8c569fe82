"""A connection that FFmpeg opens: a network stream, a device, a synthetic camera."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial

import av
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamcam.errors import SourceUnavailableError
from streamcam.media_errors import receiving
from streamcam.sources.decoder import MOST_FAILURES
from streamcam.sources.display import Display
from streamcam.sources.live.address import Address
from streamcam.sources.live.capture_clock import LiveTimeline
from streamcam.sources.live.captured_frame import CapturedFrame, until

# Formats whose timestamps FFmpeg makes up, 25 a second, because the data has none.
_UNTIMED = frozenset(("mpjpeg", "mjpeg", "h264", "hevc", "image2pipe"))

# Play lists are read a file of some seconds at a time.
_BURSTING = frozenset(("hls", "dash"))

# Each picture stands for itself, though FFmpeg marks none as a key frame.
_RAW = frozenset(("wrapped_avframe", "gif"))

# More frames than any decoder holds back.
_MOST_UNDERWAY = 64

# Garbage decodes to a few frames of sizes such as 32x30624, never twice the same; a camera that
# changes its resolution sticks to it.
_SURE = 3


class FFmpegCamera:
    """What FFmpeg opens.

    Nothing here has a time limit: FFmpeg's own do not hold everywhere, so the parent kills the
    process instead.

    Args:
        address: Where it is.
        name: Its name for people.
        origin: Monotonic seconds of the source's first frame, None where this one begins it.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, address: Address, name: str, origin: float | None) -> None:
        self.corrupt = 0
        self._name = name
        with receiving(name):
            self._container = av.open(
                address.url,
                "r",
                format=address.input_format,
                container_options=address.input_options,
                metadata_errors="replace",
            )
        self._stream = self._video_stream()
        context = self._stream.codec_context
        # Threads that decode a frame each would hold as many frames back.
        context.thread_type = "SLICE"
        self.codec = context.name
        self.rate: Fraction | None = self._stream.average_rate or self._stream.guessed_rate
        self._failures = 0
        self._display: Display | None = None
        self._size = (context.width, context.height)
        self._new_size = (self._size, 0)
        self._arrivals: OrderedDict[int, float] = OrderedDict()
        self._timed = self._container.format.name not in _UNTIMED
        self._paced = address.generated or self._container.format.name in _BURSTING
        assert self._stream.time_base is not None
        self._time_base = self._stream.time_base
        self._timeline = LiveTimeline(self._time_base, origin)

    def shots(self) -> Iterator[CapturedFrame | None]:
        """Yield each good frame, from the first key frame on, and None for each packet.

        Raises:
            SourceUnavailableError: It went away, or sends nothing that can be decoded.
        """
        for packet in self._packets():
            yield None
            for frame in self._decoded(packet):
                if frame.is_corrupt or not self._is_of_sure_size(frame):
                    self._fail()
                    continue
                self._failures = 0
                yield from self._shot(frame)

    def close(self) -> None:
        """Take leave."""
        with suppress(FFmpegError):
            self._container.close()

    def _video_stream(self) -> VideoStream:
        for stream in self._container.streams.video:
            if stream.codec_context is not None:
                return stream
        raise SourceUnavailableError(f"{self._name}: sends no video that can be decoded here")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the stream's packets from the first key frame on."""
        begun = self._stream.codec_context.codec.intra_only or self.codec in _RAW
        packets = self._container.demux(self._stream)
        while True:
            with receiving(self._name):
                try:
                    packet = next(packets, None)
                except InvalidDataError:
                    self._fail()
                    packets = self._container.demux(self._stream)
                    continue
            if packet is None or not packet.size:
                return
            begun = begun or packet.is_keyframe
            if packet.is_corrupt:
                self._fail()
            elif begun:
                self._note(packet)
                yield packet

    def _note(self, packet: Packet[VideoStream]) -> None:
        """Remember when a frame's data came in: its picture may come out much later."""
        if packet.pts is not None:
            self._arrivals[packet.pts] = time.monotonic()
            if len(self._arrivals) > _MOST_UNDERWAY:
                self._arrivals.popitem(last=False)

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except FFmpegError:
            self._fail()
            return []

    def _fail(self) -> None:
        self.corrupt += 1
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise SourceUnavailableError(
                f"{self._name}: sends nothing that can be decoded: "
                f"{self._failures} failures in a row"
            )

    def _is_of_sure_size(self, frame: VideoFrame) -> bool:
        size = (frame.width, frame.height)
        if size == self._size:
            return True
        last, seen = self._new_size
        self._new_size = (size, seen + 1 if size == last else 1)
        if self._new_size[1] < _SURE:
            return False
        self._size, self._display = size, None
        return True

    def _shot(self, frame: VideoFrame) -> Iterator[CapturedFrame | None]:
        pts = frame.pts if frame.pts is not None else frame.dts
        decoded = time.monotonic()
        arrival = decoded if pts is None else self._arrivals.pop(pts, decoded)
        timed = pts if self._timed else None
        if self._paced and (due := self._timeline.due(timed)) is not None:
            yield from until(due)
            arrival = decoded = max(due, arrival)
        yield CapturedFrame(
            pts=pts or 0,
            time_base=self._time_base,
            time=self._timeline.placed(timed, arrival),
            arrival=arrival,
            decoded=decoded,
            picture=partial(self._display_of(frame).picture, frame),
        )

    def _display_of(self, frame: VideoFrame) -> Display:
        if self._display is None:
            self._display = Display(frame, self._stream.sample_aspect_ratio)
        return self._display
