"""Capture through FFmpeg: network streams, devices, synthetic sources; and their clock."""

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
from streamcam.sources.base import CapturedFrame, sleep_until
from streamcam.sources.colour_encoding import refuse_unknown_colours
from streamcam.sources.decoder import MAX_FAILURES
from streamcam.sources.display import Display
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.live.capture_connection import Address

# Formats whose timestamps FFmpeg makes up, 25 a second, because the data has none.
_UNTIMED = frozenset(("mpjpeg", "mjpeg", "h264", "hevc", "image2pipe"))

# Playlists are read in segments of some seconds.
_BURSTING = frozenset(("hls", "dash"))

# Every frame is intra, though FFmpeg marks none as a key frame.
_RAW = frozenset(("wrapped_avframe", "gif"))

# More frames than any decoder delays.
_MAX_IN_DECODER = 64

# Garbage decodes to a few frames of random sizes such as 32x30624; a camera that changes its
# resolution keeps the new one.
_CONFIRMING_FRAMES = 3

# Clocks of cameras are off by up to 100 ppm, 9 s a day: the difference is corrected by at most this
# share of each step, which is invisible.
_SLEW = 0.02

# Networks and decoders hold frames back for a second or two. Beyond that the timestamps have jumped
# (a camera that set its clock, RTP's wrap) and are ignored.
_TOLERANCE = 5.0

_MIN_STEP = 1e-3


class FFmpegCapture:
    """A connection that FFmpeg opens.

    Nothing here has a time limit: FFmpeg's own do not hold everywhere, so the parent kills the
    process instead.

    Args:
        origin: Monotonic seconds of the source's first frame, None where this one begins it.

    Raises:
        SourceError: It cannot be reached, or its frames are larger than the limits allow.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        origin: float | None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.corrupt = 0
        self._name = name
        self._limits = limits
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
        limits.check_frame(context.width, context.height, name)
        # Frames may become larger in mid-stream: the decoder then refuses them.
        context.options = {**context.options, "max_pixels": str(limits.frame_pixels)}
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
        self.generated = address.generated
        self._paced = self.generated or self._container.format.name in _BURSTING
        assert self._stream.time_base is not None
        self._time_base = self._stream.time_base
        self._capture_clock = CaptureClock(self._time_base, origin)

    def frames(self) -> Iterator[CapturedFrame | None]:
        """Yield each good frame, from the first key frame on, and None for each packet."""
        for packet in self._packets():
            yield None
            for frame in self._decoded(packet):
                if frame.is_corrupt or not self._has_confirmed_size(frame):
                    self._fail()
                    continue
                self._failures = 0
                yield from self._captured(frame)

    def close(self) -> None:
        with suppress(FFmpegError):
            self._container.close()

    def _video_stream(self) -> VideoStream:
        for stream in self._container.streams.video:
            if stream.codec_context is not None:
                return stream
        raise SourceUnavailableError(f"{self._name}: sends no video that can be decoded here")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
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
                self._note_arrival(packet)
                yield packet

    def _note_arrival(self, packet: Packet[VideoStream]) -> None:
        """Remember when a frame's data came in: the decoder may return it much later."""
        if packet.pts is not None:
            self._arrivals[packet.pts] = time.monotonic()
            if len(self._arrivals) > _MAX_IN_DECODER:
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
        if self._failures >= MAX_FAILURES:
            raise SourceUnavailableError(
                f"{self._name}: sends nothing that can be decoded: "
                f"{self._failures} failures in a row"
            )

    def _has_confirmed_size(self, frame: VideoFrame) -> bool:
        size = (frame.width, frame.height)
        if size == self._size:
            return True
        last, count = self._new_size
        self._new_size = (size, count + 1 if size == last else 1)
        if self._new_size[1] < _CONFIRMING_FRAMES:
            return False
        self._size, self._display = size, None
        return True

    def _captured(self, frame: VideoFrame) -> Iterator[CapturedFrame | None]:
        pts = frame.pts if frame.pts is not None else frame.dts
        decoded = time.monotonic()
        arrival = decoded if pts is None else self._arrivals.pop(pts, decoded)
        timed = pts if self._timed else None
        if self._paced and (due := self._capture_clock.due(timed)) is not None:
            yield from sleep_until(due)
            arrival = decoded = max(due, arrival)
        yield CapturedFrame(
            pts=pts or 0,
            time_base=self._time_base,
            time=self._capture_clock.time_of(timed, arrival),
            arrival=arrival,
            decoded=decoded,
            picture=partial(self._display_of(frame).picture, frame),
        )

    def _display_of(self, frame: VideoFrame) -> Display:
        if self._display is None:
            refuse_unknown_colours(frame, self._name)
            display = Display(frame, self._stream.sample_aspect_ratio)
            self._limits.check_frame(display.width, display.height, self._name)
            self._display = display
        return self._display


class CaptureClock:
    """Times of one connection's frames: as even as its timestamps, never far from the wall clock.

    Args:
        origin: Monotonic seconds of the source's first frame, None where this one begins it.
    """

    def __init__(self, time_base: Fraction, origin: float | None) -> None:
        self._time_base = float(time_base)
        self.origin = origin
        self._time: float | None = None
        self._pts: int | None = None

    def due(self, pts: int | None) -> float | None:
        """Return the monotonic seconds at which a frame is due; None where that is unknown."""
        step = self._step(pts)
        if step is None or self._time is None or self.origin is None:
            return None
        return self.origin + self._time + step

    def time_of(self, pts: int | None, arrival: float) -> float:
        """Return the next frame's time in seconds, greater than the one before it.

        Its timestamp is None where it has no meaningful one.
        """
        if self.origin is None:
            self.origin = arrival
        if self._time is None:
            self._time = arrival - self.origin
        else:
            self._time += max(_MIN_STEP, self._advance(pts, arrival - self.origin - self._time))
        self._pts = pts
        return self._time

    def _advance(self, pts: int | None, elapsed: float) -> float:
        step = self._step(pts)
        if step is None or not abs(elapsed - step) < _TOLERANCE:
            return elapsed
        return step * (1 + _SLEW * (elapsed - step) / _TOLERANCE)

    def _step(self, pts: int | None) -> float | None:
        if pts is None or self._pts is None:
            return None
        step = (pts - self._pts) * self._time_base
        return step if step > 0 else None
