"""Annotated video: H.264 in MP4, with the source's own timestamps and audio."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.files import PartFile, WholeFile
from streamcam.media_errors import writing
from streamcam.sinks.audio import AudioTrack
from streamcam.sinks.base import ResultFile, Sink, SinkTarget
from streamcam.sinks.encoder import (
    EncoderName,
    EncoderSettings,
    PictureConverter,
    add_video_stream,
    encoders,
    even,
)
from streamcam.types import Frame, Item, Picture, SourceInfo

logger = logging.getLogger(__name__)

AddStream: TypeAlias = Callable[[OutputContainer], VideoStream]

MAX_TIMESCALE = 10_000_000
"""The largest timescale used. An MP4 holds steps below 2**31 units, 214 s here; finer
ones (nanoseconds exist) would leave 2 s, so such timestamps are rounded to microseconds."""

_UNITS = 2**31 - 1
"""The largest step between two frames, in units of the timescale."""

_JITTER = Fraction(1, 2)
"""Seconds by which a frame may be early and is only moved behind the one before it. More means that
the clock was reset, as in recordings that were joined."""

_MIN_TIMESCALE = 10_000
_FALLBACK_TIME_BASE = Fraction(1, 1_000_000)
_DEFAULT_RATE = Fraction(25)
"""Its inverse is how long the only frame of a source without a rate is shown, in seconds."""


def timescale(time_base: Fraction) -> int:
    """Return the timescale, in units a second, that FFmpeg chooses for a time base."""
    units = time_base.denominator
    while units < _MIN_TIMESCALE:
        units *= 2
    return units


class Mp4Writer:
    """Muxes video, encoding it where wanted, and audio along; raises `SinkError`, `av.FFmpegError`.

    Args:
        time_base: Of the frames' timestamps; kept exactly, as is an offset at the start.
        streams: By the encoder's name, what adds the video stream to the file; the first that works
            is taken.
        audio: Muxed along with the frames; closed with the file.
    """

    def __init__(
        self,
        path: Path,
        time_base: Fraction,
        streams: Mapping[str, AddStream],
        audio: AudioTrack | None,
    ) -> None:
        self._path = path
        self._time_base = time_base
        self._audio = audio
        self._open_first_working(streams)

    def write(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame that has its `pts`, `time_base` and `duration`; None after the last."""
        self.mux(self._stream.encode(frame))

    def mux(self, packets: "Iterable[Packet[Any]]") -> None:
        """Write packets of the video's stream, and the audio before them."""
        for packet in packets:
            packet.stream = self._stream
            if self._audio is not None and packet.pts is not None:
                self._audio.advance(packet.pts * packet.time_base)
            self._container.mux(packet)

    def close(self, end: Fraction) -> None:
        """Complete the file; audio from `end` on, in seconds, is left out."""
        if self._audio is not None:
            self._audio.advance(end)
            self._audio.close()
        self._container.close()
        self._file.close()

    def discard(self) -> None:
        """Close the file without completing it."""
        if self._audio is not None:
            self._audio.close()
        # PyAV does not try to complete a closed file.
        self._file.close()
        with suppress(av.FFmpegError):
            self._container.close()

    def _open_first_working(self, streams: Mapping[str, AddStream]) -> None:
        """Do without NVENC (too small, too many sessions) or audio rather than without video."""
        tracks = (self._audio, None) if self._audio is not None else (None,)
        attempts = [(name, audio) for audio in tracks for name in streams]
        for name, audio in attempts:
            if audio is None and self._audio is not None:
                self._audio.close()
                self._audio = None
            try:
                self._open(streams[name], audio)
            except (SinkError, av.FFmpegError, ValueError) as error:
                if (name, audio) == attempts[-1]:
                    raise
                method = f"{name} with audio" if audio else name
                logger.warning("%s: not written with %s: %s", self._path.stem, method, error)
            else:
                return

    def _open(self, add_stream: AddStream, audio: AudioTrack | None) -> None:
        # Opened here: a file that FFmpeg opens stays open when its header cannot be written.
        self._file = WholeFile(self._path, "wb")
        try:
            self._begin(add_stream, audio)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, add_stream: AddStream, audio: AudioTrack | None) -> None:
        # With `self` in the function below, nothing would free the container before the next full
        # garbage collection, which may be hours away, nor the encoder: 60 MB at 720p.
        path = self._path
        self._container = av.open(
            self._file,
            "w",
            format="mp4",
            # For "faststart", which moves the index to the front by reading the rest again.
            io_open=lambda *_: path.open("rb"),
            container_options={
                "movflags": "+faststart",
                # The unit of edit lists, which hold when video and audio begin: in the default
                # milliseconds an offset at the start would be rounded.
                "movie_timescale": str(timescale(self._time_base)),
            },
        )
        self._stream = add_stream(self._container)
        if audio is not None:
            audio.attach(self._container)
        self._container.start_encoding()


class VideoSettings(EncoderSettings):
    audio: bool = True


class VideoSink(Sink[VideoSettings]):
    """Writes the annotated pictures that it is given as an MP4 that browsers play.

    Frames keep their timestamps on the source's own clock, also where it does not begin at zero: a
    player's position equals the records' `pts`. Two clocks are shifted to begin at zero, audio
    included: one that begins below it, which MP4 cannot express, and that of a live source, which
    is arbitrary. A clock that jumps back, or by hours, is damaged: the frame then follows the one
    before it.
    """

    settings_type = VideoSettings
    result_file = ResultFile("video", ".heatmap.mp4", "annotated video", "video/mp4")
    needs_picture = True

    def __init__(self, path: Path, info: SourceInfo, settings: VideoSettings | None = None) -> None:
        self._file = PartFile(path)
        self._info = info
        self._settings = settings or VideoSettings()
        fine = info.time_base.denominator > MAX_TIMESCALE
        self._time_base = _FALLBACK_TIME_BASE if fine else info.time_base
        self._max_step = Fraction(_UNITS, timescale(self._time_base))
        self._size = even(info.width), even(info.height)
        self._convert = PictureConverter(self._size)
        self._writer: Mp4Writer | None = None
        self._shift = 0
        self._step = round(1 / (info.frame_rate or _DEFAULT_RATE) / self._time_base)
        self._held: av.VideoFrame | None = None
        self._held_pts = 0
        self._remaining: float | None = None

    @classmethod
    def create(cls, target: SinkTarget, settings: VideoSettings) -> Self:
        return cls(target.path(cls.result_file), target.source, settings)

    def write(self, item: Item, picture: Picture | None) -> None:
        """Add a picture; it is encoded when the next one gives its duration."""
        if picture is None:
            raise ValueError("VideoSink needs the annotated picture")
        frame = item if isinstance(item, Frame) else item.frame
        with writing(str(self._file.path)):
            ticks = round(frame.pts * frame.time_base / self._time_base)
            if self._writer is None:
                self._writer = self._start(ticks)
            until = self._timestamp(ticks)
            self._encode_held(until)
            self._held, self._held_pts = self._convert(picture), until
            self._remaining = (
                None if self._info.duration is None else self._info.duration - frame.time
            )

    def finish(self) -> Path:
        if self._writer is None or self._held is None:
            raise SinkError(f"{self._file.path}: no frame was written, so there is no video")
        with writing(str(self._file.path)):
            end = self._held_pts + self._last_duration()
            self._encode_held(end)
            self._writer.write(None)
            self._writer.close(end * self._time_base)
            self._writer = None
        return self._file.publish()

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.discard()
            self._writer = None
        self._file.discard()

    def _start(self, first: int) -> Mp4Writer:
        if first < 0 or self._info.live:
            self._shift = -first
        names = encoders(self._settings)
        streams: dict[str, AddStream] = {name: self._adding(name) for name in names}
        return Mp4Writer(self._file.prepare(), self._time_base, streams, self._audio(first))

    def _adding(self, encoder: EncoderName) -> AddStream:
        return partial(
            add_video_stream,
            encoder=encoder,
            size=self._size,
            time_base=self._time_base,
            rate=self._info.frame_rate,
            threads=self._settings.threads,
        )

    def _audio(self, first: int) -> AudioTrack | None:
        if not self._settings.audio:
            return None
        return AudioTrack.of(self._info, first * self._time_base, self._shift * self._time_base)

    def _timestamp(self, ticks: int) -> int:
        """Return a frame's timestamp on the clock of the written file."""
        timestamp = ticks + self._shift
        if self._held is None:
            return timestamp
        step = timestamp - self._held_pts
        if -_JITTER < step * self._time_base <= 0:
            return self._held_pts + 1
        if step < 0 or step * self._time_base > self._max_step:
            timestamp = self._held_pts + self._step
            self._shift = timestamp - ticks
        return timestamp

    def _encode_held(self, until: int) -> None:
        """Encode the held picture, which is shown until `until`."""
        if self._held is None or self._writer is None:
            return
        self._step = until - self._held_pts
        self._held.pts, self._held.time_base = self._held_pts, self._time_base
        self._held.duration = self._step
        self._writer.write(self._held)

    def _last_duration(self) -> int:
        """Return the duration of the frame before it, but not beyond the source's end."""
        if self._remaining is None:
            return self._step
        left = round(Fraction(self._remaining) / self._time_base)
        return min(self._step, left) if left > 0 else self._step
