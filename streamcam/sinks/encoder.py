"""H.264 encoding: choice and set-up of the encoder, conversion of pictures, and live encoding."""

import logging
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Literal, TypeAlias

import av
import numpy as np
from av.codec.context import Flags
from av.codec.hwaccel import hwdevices_available
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.sinks.base import SinkSettings
from streamcam.types import Picture

logger = logging.getLogger(__name__)

EncoderName = Literal["h264_nvenc", "libx264"]

QUALITY = 20
"""CRF of libx264 and CQ of NVENC. At 23 small labels on moving heat begin to smear; 20 takes about
half as much again (768x432: 10.7 instead of 7.3 kB a frame)."""

# No B-frames: they save 3 to 13 % of the size at 768x432 and up and cost 20 to 45 % more time, and
# the durations that an MP4 with uneven frames tells its players are only right without them.
_OPTIONS: Mapping[EncoderName, Mapping[str, str]] = {
    "libx264": {"crf": str(QUALITY), "bf": "0", "g": "250"},
    "h264_nvenc": {"preset": "p4", "rc": "vbr", "cq": str(QUALITY), "bf": "0", "g": "250"},
}

# Without its look ahead "superfast" doubles the size of these files, whose background rests. With
# it, 768x432 takes 3 ms a frame; "veryfast" takes 4, for 4 to 11 % less size.
_FILE_OPTIONS: Mapping[EncoderName, Mapping[str, str]] = {
    "libx264": {"preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10"},
    "h264_nvenc": {},
}

# Every packet comes out with its own frame, and forced key frames are IDR frames. There is no look
# ahead here, and "superfast" would make files larger by a quarter.
_LIVE_OPTIONS: Mapping[EncoderName, Mapping[str, str]] = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "forced-idr": "1"},
    "h264_nvenc": {"zerolatency": "1", "delay": "0", "forced-idr": "1"},
}

VideoPacket: TypeAlias = "Packet[VideoStream]"

TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick of the packets: the clock of RTP and MPEG-TS, 11 µs."""

_KEY_FRAME_SECONDS = 1.0
"""From one key frame to the next: a viewer waits for one, and a pre-roll begins at one. It makes
1280x720 larger by 16 % at 10 frames a second, by 24 % at 5."""

_DEFAULT_STEP = 1 / 25
_MAX_STEP = 1.0
"""Seconds for which the last picture of a video is shown: as long as the one before it, but not the
minute for which a camera stood still."""

_HD_HEIGHT = 720
"""From here on BT.709, below it BT.601: what players assume, so that those that do not read the
file's own flags show the right colours too."""

_SMPTE170M = 6
"""The matrix of BT.601 in the numbering of H.264 and FFmpeg's AVColorSpace."""

_DEFAULT_RATE = Fraction(25)
_PROBE_SIZE = (640, 360)
"""Small, and above the minimum size of every generation of NVENC."""


# A quarter of the cores, for the detector and the decoders. On two cores a second thread takes 8 %
# of `nano`'s frames a second at 768x432, and gives nothing at 1080p.
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 4))


class EncoderSettings(SinkSettings):
    """How videos are encoded.

    Attributes:
        encoder: "auto" takes NVENC where it works, else libx264.
        threads: Of the encoder, 1..64; more of them take memory, and cores from the rest.
    """

    encoder: Literal["auto", "h264_nvenc", "libx264"] = "auto"
    threads: int = _THREADS


@cache
def nvenc_works() -> bool:
    """Whether this machine can encode with NVENC, found out once by doing it."""
    try:
        context = av.CodecContext.create("h264_nvenc", "w")
        _set_up(context, _PROBE_SIZE, 1 / _DEFAULT_RATE, _DEFAULT_RATE, threads=1)
        context.options = dict(_OPTIONS["h264_nvenc"])
        black = np.zeros((_PROBE_SIZE[1], _PROBE_SIZE[0], 3), np.uint8)
        frame = PictureConverter(_PROBE_SIZE)(black)
        frame.pts, frame.time_base = 0, 1 / _DEFAULT_RATE
        return bool(context.encode(frame) + context.encode(None))
    except (av.FFmpegError, ValueError) as error:
        logger.debug("NVENC is not used: %s", error)
        return False


def encoders(settings: EncoderSettings) -> tuple[EncoderName, ...]:
    """Return the encoders to try, best first; `SinkError` where a demanded one does not work."""
    if settings.encoder == "libx264":
        return ("libx264",)
    if nvenc_works():
        return ("h264_nvenc", "libx264") if settings.encoder == "auto" else ("h264_nvenc",)
    if settings.encoder == "auto":
        return ("libx264",)
    raise SinkError("h264_nvenc does not work here", hint='Choose the encoder "auto" or "libx264".')


def add_video_stream(
    container: OutputContainer,
    encoder: EncoderName,
    size: tuple[int, int],
    time_base: Fraction,
    rate: Fraction | None,
    threads: int,
    *,
    live: bool = False,
) -> VideoStream:
    """Add a video stream and open its encoder.

    Args:
        container: What is being written.
        encoder: Which encoder.
        size: Width and height of the coded pictures, both even.
        time_base: Of the timestamps.
        rate: Mean frames a second; it sets the H.264 level, not the timestamps.
        threads: Of the encoder.
        live: Whether each frame's packet must come out with it, as cameras need it.

    Raises:
        SinkError: The encoder does not work, or not at this size.
    """
    rate = rate or _DEFAULT_RATE
    options = {**_OPTIONS[encoder], **(_LIVE_OPTIONS if live else _FILE_OPTIONS)[encoder]}
    stream = container.add_stream(encoder, rate=rate, options=options)
    stream.time_base = time_base
    _set_up(stream.codec_context, size, time_base, rate, threads)
    try:
        stream.codec_context.open()
    except av.FFmpegError as error:
        width, height = size
        raise SinkError(f"{encoder} cannot encode {width}x{height} pixels: {error}") from error
    return stream


class PictureConverter:
    """Turns RGB pictures into the encoder's frames, whose width and height are even.

    Odd sizes get their last column or row twice: scaling would shift the boxes and blur everything.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._width, self._height = size
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Picture) -> av.VideoFrame:
        """Return a YUV 4:2:0 frame, limited range, BT.709 or BT.601 by its height."""
        height, width = picture.shape[:2]
        if (width, height) != (self._width, self._height):
            bottom, right = self._height - height, self._width - width
            picture = np.pad(picture, ((0, bottom), (0, right), (0, 0)), "edge")
        # The picture itself, not a copy: a copy takes as long as the conversion.
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), format="rgb24")
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709 if _is_hd(self._height) else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )


def _null_container() -> OutputContainer:
    """Open an MP4 that is discarded: an encoder needs a container."""
    return av.open(os.devnull, "w", format="mp4")


class LiveEncoder:
    """Encodes pictures of one size as they come, one packet for each, with frequent key frames.

    Args:
        size: Width and height of the pictures; odd ones are made even.
        name: The source's name, for the log.
        container: Opens the container of the encoder's stream; packets need not be muxed there,
            and the stream is a template for that of another container, also when it is closed.

    Raises:
        SinkError: No encoder works for this size.
        av.FFmpegError: The container cannot be opened.
    """

    def __init__(
        self,
        size: tuple[int, int],
        settings: EncoderSettings,
        name: str,
        container: Callable[[], OutputContainer] = _null_container,
    ) -> None:
        self.size = size
        self._coded = even(size[0]), even(size[1])
        self._threads = settings.threads
        self._convert = PictureConverter(self._coded)
        self.container, self.stream = self._open_first_working(encoders(settings), name, container)
        self.container.start_encoding()
        self._time: float | None = None
        self._ticks = 0
        self._key_time = 0.0

    def encode(self, picture: Picture, time: float, *, key: bool) -> list[VideoPacket]:
        """Encode a picture, and return packets, usually this picture's.

        Args:
            picture: RGB, uint8, [height, width, 3].
            time: Its time in seconds, on a clock that does not go back.
            key: Whether it must be a key frame; about one a second is anyway.

        Raises:
            av.FFmpegError: It cannot be encoded.
        """
        frame = self._convert(picture)
        ticks, step = round(time / TIME_BASE), _DEFAULT_STEP
        if self._time is not None:
            ticks = max(ticks, self._ticks + 1)
            step = min(max(time - self._time, float(TIME_BASE)), _MAX_STEP)
        frame.time_base = TIME_BASE
        frame.pts = self._ticks = ticks
        frame.duration = round(step / TIME_BASE)
        if key or self._time is None or time - self._key_time >= _KEY_FRAME_SECONDS:
            frame.pict_type = PictureType.I
            self._key_time = time
        self._time = time
        return self.stream.encode(frame)

    def flush(self) -> list[VideoPacket]:
        """Return the packets that the encoder still holds; it takes no more pictures."""
        return self.stream.encode(None)

    def close(self) -> None:
        self.container.close()

    def _open_first_working(
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


def ffmpeg_facts() -> dict[str, str]:
    versions = sorted(av.library_versions.items())
    libraries = (f"{name} {'.'.join(map(str, version))}" for name, version in versions)
    return {
        "FFmpeg": ", ".join(libraries),
        "libx264": "works" if "libx264" in av.codecs_available else "missing",
        "h264_nvenc": "works" if nvenc_works() else "not usable here",
        "hardware decoding": ", ".join(hwdevices_available()) or "none",
    }


def even(size: int) -> int:
    """Return the next even size: 4:2:0 has one colour sample for two pixels each way."""
    return size + size % 2


def _set_up(
    context: VideoCodecContext,
    size: tuple[int, int],
    time_base: Fraction,
    rate: Fraction,
    threads: int,
) -> None:
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = time_base
    context.framerate = rate
    context.thread_count = threads
    # Passes the frames' durations on to the packets, so that the MP4's last frame has one.
    context.flags |= Flags.frame_duration
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709 if _is_hd(context.height) else _SMPTE170M
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709


def _is_hd(height: int) -> bool:
    return height >= _HD_HEIGHT
