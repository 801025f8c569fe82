"""From packets to frames: skips unwanted groups, survives damage, repairs timestamps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
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
from streamcam.sources.limits import Limits
from streamcam.sources.seek_points import SeekPoint

# Ten seconds of ordinary video: longer than any burst of errors that a decoder recovers from at
# the next key frame, short enough not to read gigabytes of noise.
MAX_FAILURES = 250

# Two sources decode at once while others wait for the engine; more threads only add memory.
_THREADS = min(4, os.cpu_count() or 1)

# A group is held in memory, compressed, until it is clear whether it is wanted. Encoders put key
# frames every 250 frames or closer by default; a longer group is decoded, wanted or not.
MAX_HELD = 600

# Their packets may hold pictures that are never shown, so packets cannot be counted as frames.
_CODECS_WITH_HIDDEN_FRAMES = ("vp8", "libvpx")


class Decoder:
    """Decodes one video stream.

    Attributes:
        decoded: Frames that the decoder returned, damaged ones included.
        corrupt: Packets and frames refused or marked as damaged.
        may_skip: Whether groups of pictures may go undecoded. Set to False once frames depend
            on each other beyond the decoder (deinterlacing) or times are not the file's own.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        name: str,
        interrupted: Event,
        limits: Limits,
    ) -> None:
        self._interrupted = interrupted
        self._container = container
        self._stream = stream
        self._name = name
        self._limits = limits
        self._last_frame = time.monotonic()
        self.decoded = 0
        self.corrupt = 0
        self.may_skip = stream.codec_context.name not in _CODECS_WITH_HIDDEN_FRAMES
        self._gops = GopBuffer()
        self._skipped = 0
        self._failures = 0
        self._fed = 0
        self._reached = 0.0
        self._second_key: tuple[int, int | None] | None = None
        self._skippable = False
        self._begin: SeekPoint | None = None
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = _THREADS
        # Frames may become larger in mid-stream: the decoder then refuses them.
        context.options = {**context.options, "max_pixels": str(limits.frame_pixels)}

    @property
    def counts_by_packets(self) -> bool:
        """Whether there was one frame for each packet before the second key frame."""
        return self._skippable and self.may_skip

    def begin_at(self, point: SeekPoint) -> None:
        """Let `frames` begin there, whatever it gave before; the container was sought there."""
        self._stream.codec_context.flush_buffers()
        self._gops = GopBuffer()
        self._begin = point
        self._skipped = point.index - self.decoded
        self._skippable = True
        self._last_frame = time.monotonic()

    def frames(self, due: Callable[[], float]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield each good frame with its index, in order of presentation.

        The index counts frames from the stream's first, including damaged and undecoded ones.
        `due` returns the ticks before which no frame is wanted.

        Raises:
            CorruptMediaError: Nothing could be decoded for too long.
            SourceError: No frame came in time.
        SourceUnavailableError: The medium went away.
        """
        for packet in self._packets():
            if not self._has_begun(packet):
                continue
            if self._interrupted.is_set():
                return
            self._check_time()
            if packet.is_corrupt:
                self._fail()
                continue
            may_skip = self.may_skip and self._skippable
            skipped, ready = self._gops.push(packet, due() if may_skip else -inf)
            if skipped:
                yield from self._flush()
                self._skipped += skipped
                self._last_frame = time.monotonic()
            for wanted in ready:
                yield from self._decoded(wanted)
        for packet in self._gops.release():
            yield from self._decoded(packet)
        yield from self._decoded(None)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        while True:
            try:
                with reading(self._name):
                    # PyAV ends with an empty packet, which would flush the decoder too early.
                    yield from filter(attrgetter("size"), self._container.demux(self._stream))
            except CorruptMediaError:
                self._fail()
                self._check_time()
            except IndexError:
                return  # PyAV fails at the end if streams were added midway.
            else:
                return

    def _has_begun(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet is not one of those before the point to begin at."""
        if self._begin is None:
            return True
        if packet.is_keyframe and packet.pts == self._begin.pts:
            self._begin = None
        elif packet.dts is not None and packet.dts > self._begin.dts:
            raise CorruptMediaError(f"{self._name}: its index leads to other frames than it says")
        return self._begin is None

    def _flush(self) -> Iterator[tuple[int, VideoFrame]]:
        yield from self._decoded(None)
        self._stream.codec_context.flush_buffers()

    def _decoded(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[int, VideoFrame]]:
        for frame in self._try_decode(packet):
            index = self.decoded + self._skipped
            self.decoded += 1
            if frame.is_corrupt:
                self._fail()
                continue
            self._failures = 0
            self._reached = frame.time or self._reached
            self._check_skippable(index, frame)
            yield index, frame
            # From when the consumer wants the next one: it may be slow.
            self._last_frame = time.monotonic()

    def _try_decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        self._note_key_frame(packet)
        try:
            return self._stream.codec_context.decode(packet)
        except FFmpegError:
            self._fail()
            return []

    def _fail(self) -> None:
        self.corrupt += 1
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise CorruptMediaError(
                f"{self._name}: unreadable after {self.decoded} frames, at {self._reached:.1f} s: "
                f"{self._failures} failures in a row",
                hint="What was read before is kept.",
            )

    def _check_time(self) -> None:
        """Give up a file that is read for too long without a frame."""
        if time.monotonic() - self._last_frame > self._limits.frame_timeout:
            raise self._limits.no_frame_in_time(self._name)

    def _note_key_frame(self, packet: Packet[VideoStream] | None) -> None:
        if packet is None:
            return
        if packet.is_keyframe and self._fed and self._second_key is None:
            self._second_key = (self._fed, packet.pts)
        self._fed += 1

    def _check_skippable(self, index: int, frame: VideoFrame) -> None:
        """Check at the second key frame whether groups can be skipped by counting packets.

        It must be a true intra picture, and there must be one frame for each packet before it.
        """
        if self._second_key is None or frame.pts != self._second_key[1]:
            return
        if not self._skippable and not self._skipped:
            intra = frame.key_frame and frame.pict_type == PictureType.I
            self._skippable = bool(intra) and index == self._second_key[0]
            self.may_skip = self.may_skip and self._skippable


class GopBuffer:
    """Holds a group of pictures (GOP) back until it is clear whether it must be decoded.

    A group goes undecoded when the key frame after it is not wanted any earlier, and no picture
    after that key frame in the file is shown before it (such pictures refer to the group).
    """

    def __init__(self) -> None:
        self._held: list[Packet[VideoStream]] = []
        self._next_key: int | None = None

    def push(
        self, packet: Packet[VideoStream], due: float
    ) -> tuple[int, list[Packet[VideoStream]]]:
        """Take the next packet of the stream; before `due`, in ticks, no picture is wanted.

        Returns:
            How many packets, all before the following ones, need no decoding; and the packets to
            be decoded now.
        """
        self._held.append(packet)
        if packet.pts is None or packet.dts is None:
            return 0, self.release()
        if len(self._held) == 1:
            return 0, [] if _may_be_skipped(packet, due) else self.release()
        if self._next_key is not None:
            return self._decide(self._next_key, due)
        if packet.is_keyframe:
            self._next_key = len(self._held) - 1
        elif packet.dts >= due or len(self._held) > MAX_HELD:
            return 0, self.release()
        return 0, []

    def release(self) -> list[Packet[VideoStream]]:
        held, self._held, self._next_key = self._held, [], None
        return held

    def _decide(self, boundary: int, due: float) -> tuple[int, list[Packet[VideoStream]]]:
        group, (key, after) = self._held[:boundary], self._held[boundary:]
        shown = _pts(key)
        closed = _pts(after) > shown and all(_pts(packet) < shown for packet in group)
        if not closed or shown > due:
            return 0, self.release()
        self._held = [key, after]
        self._next_key = 1 if after.is_keyframe else None
        return boundary, [] if _may_be_skipped(key, due) else self.release()


def _may_be_skipped(packet: Packet[VideoStream], due: float) -> bool:
    """Whether the group that begins here may turn out to be unwanted."""
    return bool(packet.is_keyframe) and _pts(packet) < due


def _pts(packet: Packet[VideoStream]) -> int:
    assert packet.pts is not None
    return packet.pts


class TimestampRepair:
    """Makes the presentation times of one stream grow strictly, frame by frame.

    Times that are missing follow at the stream's rate; those that stand still move on by one tick;
    after a jump back by more than a second (a joined recording) the clock continues from where it
    was.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._second = max(1, round(1 / time_base))
        self._step = max(1, round(1 / (rate * time_base))) if rate else 1
        self._offset = 0
        self._last: int | None = None

    @property
    def shifted(self) -> bool:
        """Whether all later times differ from the file's."""
        return self._offset != 0

    def repaired(self, pts: int | None) -> int:
        """Return the next frame's time in ticks, greater than the one before."""
        self._last = self._next(pts)
        return self._last

    def _next(self, pts: int | None) -> int:
        if self._last is None:
            return pts or 0
        if pts is None:
            return self._last + self._step
        if self._last - (pts + self._offset) > self._second:
            self._offset = self._last + self._step - pts
        return max(pts + self._offset, self._last + 1)
