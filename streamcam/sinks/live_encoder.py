"""H.264 of a camera's pictures, one packet for each as it comes, to be cut anywhere."""

import logging
import os
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.sinks.encoder import (
    EncoderName,
    EncoderSettings,
    PictureConverter,
    add_video_stream,
    encoders,
    even,
)
from streamcam.types import Picture

logger = logging.getLogger(__name__)

VideoPacket: TypeAlias = "Packet[VideoStream]"

TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick of the packets: the clock of RTP and MPEG-TS, 11 µs."""

_KEY_FRAME_SECONDS = 1.0
"""From one key frame to the next: what a viewer of a stream waits for, and how far a pre-roll may
begin too early. It makes 1280x720 larger by 16 % at 10 frames a second, by 24 % at 5."""

_USUAL_STEP = 1 / 25
_LONGEST_STEP = 1.0
"""Seconds for which the last picture of a video is shown: as long as the one before it, but a
camera that stood still for a minute does not end in a minute of one picture."""


def nowhere() -> OutputContainer:
    """Open an MP4 that is written nowhere: it gives an encoder a home."""
    return av.open(os.devnull, "w", format="mp4")


class LiveEncoder:
    """Encodes pictures of one size as they come.

    Args:
        size: Width and height of the pictures; odd ones are made even.
        settings: How they are encoded.
        name: Whose pictures they are, for the log.
        container: Opens what the encoder's stream belongs to; the packets need not be muxed there.

    Attributes:
        container: What was opened, begun.
        size: Width and height of the pictures.
        stream: What another container needs to know of the packets, as a template.

    Raises:
        SinkError: No encoder works for this size.
        av.FFmpegError: The container cannot be opened.
    """

    def __init__(
        self,
        size: tuple[int, int],
        settings: EncoderSettings,
        name: str,
        container: Callable[[], OutputContainer] = nowhere,
    ) -> None:
        self.size = size
        self._coded = even(size[0]), even(size[1])
        self._threads = settings.threads
        self._convert = PictureConverter(self._coded)
        self.container, self.stream = self._first_that_works(encoders(settings), name, container)
        self.container.start_encoding()
        self._time: float | None = None
        self._ticks = 0
        self._key_time = 0.0

    def encode(self, picture: Picture, time: float, *, key: bool) -> list[VideoPacket]:
        """Encode a picture.

        Args:
            picture: RGB, uint8, [height, width, 3].
            time: Its moment in seconds, on a clock that grows.
            key: Whether a video may begin with it; about every second one may anyway.

        Returns:
            Packets with timestamps in `TIME_BASE`, which grow: usually this picture's.

        Raises:
            av.FFmpegError: It cannot be encoded.
        """
        frame = self._convert(picture)
        frame.time_base = TIME_BASE
        frame.pts = self._ticks = self._placed(time)
        frame.duration = round(self._step(time) / TIME_BASE)
        if key or self._time is None or time - self._key_time >= _KEY_FRAME_SECONDS:
            frame.pict_type = PictureType.I
            self._key_time = time
        self._time = time
        return self.stream.encode(frame)

    def flush(self) -> list[VideoPacket]:
        """Return what the encoder still holds; it takes no more pictures."""
        return self.stream.encode(None)

    def close(self) -> None:
        """Close the container; what was told of the stream stays valid."""
        self.container.close()

    def _placed(self, time: float) -> int:
        ticks = round(time / TIME_BASE)
        return ticks if self._time is None else max(ticks, self._ticks + 1)

    def _step(self, time: float) -> float:
        if self._time is None:
            return _USUAL_STEP
        return min(max(time - self._time, float(TIME_BASE)), _LONGEST_STEP)

    def _first_that_works(
        self, names: tuple[EncoderName, ...], name: str, container: Callable[[], OutputContainer]
    ) -> tuple[OutputContainer, VideoStream]:
        """Give up NVENC (too small, too many sessions) rather than the video."""
        for encoder in names[:-1]:
            try:
                return self._open(encoder, container())
            except SinkError as error:
                logger.warning("%s: not encoded with %s: %s", name, encoder, error)
        return self._open(names[-1], container())

    def _open(
        self, encoder: EncoderName, container: OutputContainer
    ) -> tuple[OutputContainer, VideoStream]:
        stream = add_video_stream(
            container, encoder, self._coded, TIME_BASE, None, self._threads, live=True
        )
        return container, stream
